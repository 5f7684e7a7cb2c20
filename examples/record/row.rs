//! One row of a record, and the names in it.

use std::fmt;

use rustix::event::PollFlags;
use rustix::io::Errno;

pub(crate) const COLUMNS: [&str; 11] = [
    "scenario",
    "op",
    "ret",
    "errno",
    "errno_number",
    "revents",
    "sigpipe",
    "note",
    "stable",
    "poll_row",
    "direction",
];

/// A column that is not there is an empty string.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) scenario: String,
    pub(crate) op: String,
    pub(crate) ret: String,
    pub(crate) errno: String,
    pub(crate) errno_number: String,
    pub(crate) revents: String,
    pub(crate) sigpipe: String,
    pub(crate) note: String,
    pub(crate) stable: String,
    pub(crate) poll_row: String,
    pub(crate) direction: String,
}

impl Row {
    pub(crate) fn new(scenario: impl Into<String>, op: &str) -> Self {
        let direction = match op {
            "read" | "readv" | "recv" | "recvmsg" | "accept" => "IN",
            "write" | "writev" | "send" | "sendto" | "sendmsg" | "connect" => "OUT",
            _ => "",
        };
        Self {
            scenario: scenario.into(),
            op: op.into(),
            stable: "yes".into(),
            direction: direction.into(),
            ..Self::default()
        }
    }

    pub(crate) fn parse(line: &str) -> Option<Self> {
        let cells: [&str; COLUMNS.len()] = line.split('\t').collect::<Vec<_>>().try_into().ok()?;
        let [
            scenario,
            op,
            ret,
            errno,
            errno_number,
            revents,
            sigpipe,
            note,
            stable,
            poll_row,
            direction,
        ] = cells.map(String::from);
        Some(Self {
            scenario,
            op,
            ret,
            errno,
            errno_number,
            revents,
            sigpipe,
            note,
            stable,
            poll_row,
            direction,
        })
    }

    pub(crate) fn failed(&mut self, errno: Errno) {
        self.ret = "-1".into();
        self.errno = errno_name(errno);
        self.errno_number = errno.raw_os_error().to_string();
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cells = [
            &self.scenario,
            &self.op,
            &self.ret,
            &self.errno,
            &self.errno_number,
            &self.revents,
            &self.sigpipe,
            &self.note,
            &self.stable,
            &self.poll_row,
            &self.direction,
        ];
        f.write_str(&cells.map(String::as_str).join("\t"))
    }
}

/// The name of an errno that these calls are known to give; `?(77)` for another.
fn errno_name(errno: Errno) -> String {
    // Of two names for one number the first is taken.
    let known = [
        (Errno::AGAIN, "EAGAIN"),
        (Errno::WOULDBLOCK, "EWOULDBLOCK"),
        (Errno::INTR, "EINTR"),
        (Errno::PERM, "EPERM"),
        (Errno::NOENT, "ENOENT"),
        (Errno::IO, "EIO"),
        (Errno::NXIO, "ENXIO"),
        (Errno::BADF, "EBADF"),
        (Errno::NOMEM, "ENOMEM"),
        (Errno::ACCESS, "EACCES"),
        (Errno::FAULT, "EFAULT"),
        (Errno::BUSY, "EBUSY"),
        (Errno::EXIST, "EEXIST"),
        (Errno::NODEV, "ENODEV"),
        (Errno::INVAL, "EINVAL"),
        (Errno::NFILE, "ENFILE"),
        (Errno::MFILE, "EMFILE"),
        (Errno::NOTTY, "ENOTTY"),
        (Errno::FBIG, "EFBIG"),
        (Errno::NOSPC, "ENOSPC"),
        (Errno::SPIPE, "ESPIPE"),
        (Errno::PIPE, "EPIPE"),
        (Errno::NOSYS, "ENOSYS"),
        (Errno::PROTO, "EPROTO"),
        (Errno::NOTSOCK, "ENOTSOCK"),
        (Errno::DESTADDRREQ, "EDESTADDRREQ"),
        (Errno::MSGSIZE, "EMSGSIZE"),
        (Errno::PROTOTYPE, "EPROTOTYPE"),
        (Errno::NOPROTOOPT, "ENOPROTOOPT"),
        (Errno::PROTONOSUPPORT, "EPROTONOSUPPORT"),
        (Errno::OPNOTSUPP, "EOPNOTSUPP"),
        (Errno::AFNOSUPPORT, "EAFNOSUPPORT"),
        (Errno::ADDRINUSE, "EADDRINUSE"),
        (Errno::ADDRNOTAVAIL, "EADDRNOTAVAIL"),
        (Errno::NETDOWN, "ENETDOWN"),
        (Errno::NETUNREACH, "ENETUNREACH"),
        (Errno::NETRESET, "ENETRESET"),
        (Errno::CONNABORTED, "ECONNABORTED"),
        (Errno::CONNRESET, "ECONNRESET"),
        (Errno::NOBUFS, "ENOBUFS"),
        (Errno::ISCONN, "EISCONN"),
        (Errno::NOTCONN, "ENOTCONN"),
        #[cfg(not(target_os = "haiku"))]
        (Errno::TOOMANYREFS, "ETOOMANYREFS"),
        (Errno::TIMEDOUT, "ETIMEDOUT"),
        (Errno::CONNREFUSED, "ECONNREFUSED"),
        (Errno::HOSTDOWN, "EHOSTDOWN"),
        (Errno::HOSTUNREACH, "EHOSTUNREACH"),
        (Errno::INPROGRESS, "EINPROGRESS"),
        (Errno::ALREADY, "EALREADY"),
    ];
    let name = known.iter().find(|(number, _)| *number == errno);
    name.map_or_else(
        || format!("?({})", errno.raw_os_error()),
        |(_, name)| (*name).into(),
    )
}

/// What `poll` reported, as names.
pub(crate) fn revents_names(revents: PollFlags) -> String {
    let known = [
        (PollFlags::IN, "IN"),
        (PollFlags::PRI, "PRI"),
        (PollFlags::OUT, "OUT"),
        (PollFlags::ERR, "ERR"),
        (PollFlags::HUP, "HUP"),
        (PollFlags::NVAL, "NVAL"),
    ];
    let shown = known.iter().filter(|(bits, _)| revents.intersects(*bits));
    let names: Vec<_> = shown.map(|(_, name)| *name).collect();
    let unknown = known
        .iter()
        .fold(revents, |rest, (bits, _)| rest.difference(*bits));
    match (names.is_empty(), unknown.is_empty()) {
        (true, true) => "0".into(),
        (false, true) => names.join("+"),
        (_, false) => format!("{}?({:#x})", names.join("+"), unknown.bits()),
    }
}
