//! A kernel that answers what the test tells it to: one thread's system calls
//! of some numbers are handed to the test, by seccomp's user notification.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::mpsc;
use std::time::Duration;

use libc::{c_long, sock_filter};

/// A system call that is waiting for its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) number: c_long,
    pub(crate) args: [u64; 6],
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    /// Let the kernel do it.
    Real,
    Errno(i32),
    Value(i64),
}

/// Runs `body` on a thread of its own; `kernel` answers its system calls of the
/// given numbers. Returns what the body returned, and how many calls it made.
pub(crate) fn answered<T: Send>(
    numbers: &[c_long],
    mut kernel: impl FnMut(&Call) -> Answer,
    body: impl FnOnce() -> T + Send,
) -> (T, usize) {
    std::thread::scope(|scope| {
        let (give, take) = mpsc::channel();
        let worker = scope.spawn(move || {
            give.send(filter(numbers, None).unwrap()).unwrap();
            body()
        });
        let listener = take.recv().expect("the filter was installed");
        let mut calls = 0;
        while let Some((id, call)) = next(&listener) {
            calls += 1;
            reply(&listener, id, kernel(&call));
        }
        (worker.join().unwrap(), calls)
    })
}

/// Runs `body` on a thread of its own, where the system calls of the given numbers
/// fail with `errno`, or succeed with 0, as fast as a kernel can say so.
pub(crate) fn always<T: Send>(
    numbers: &[c_long],
    errno: i32,
    body: impl FnOnce() -> T + Send,
) -> T {
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let _none = filter(numbers, Some(errno));
            body()
        });
        worker.join().unwrap()
    })
}

/// Whether this kernel can hand out system calls; emulators cannot.
pub(crate) fn is_available() -> bool {
    let tried = std::thread::spawn(|| filter(&[libc::SYS_getppid], None));
    match tried.join().unwrap().map_err(|error| error.raw_os_error()) {
        Ok(_) => true,
        Err(Some(libc::ENOSYS | libc::EINVAL | libc::EBUSY)) => {
            println!("skipped: this kernel has no seccomp notification to spare");
            false
        }
        Err(errno) => panic!("seccomp: {errno:?}"),
    }
}

/// Installs a filter on this thread, for good, and returns its listener, if there is
/// no errno that is the answer.
fn filter(numbers: &[c_long], errno: Option<i32>) -> std::io::Result<OwnedFd> {
    let op = |code: u32, jt: usize, k: u32| sock_filter {
        code: u16::try_from(code).unwrap(),
        jt: u8::try_from(jt).unwrap(),
        jf: 0,
        k,
    };
    // The number is the first field of what a filter sees.
    let mut program = vec![op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0)];
    for (i, &number) in numbers.iter().enumerate() {
        let number = u32::try_from(number).unwrap();
        let rest = numbers.len() - i;
        program.push(op(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            rest,
            number,
        ));
    }
    program.push(op(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW));
    let answer = errno.map_or(libc::SECCOMP_RET_USER_NOTIF, |errno| {
        libc::SECCOMP_RET_ERRNO | u32::try_from(errno).unwrap()
    });
    program.push(op(libc::BPF_RET | libc::BPF_K, 0, answer));
    let program = libc::sock_fprog {
        len: u16::try_from(program.len()).unwrap(),
        filter: program.as_mut_ptr(),
    };
    // SAFETY: takes no pointers.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: the program is valid, and lives until the call is done.
    let listener = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            match errno {
                None => libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
                Some(_) => 0,
            },
            &raw const program,
        )
    };
    match i32::try_from(listener).unwrap() {
        -1 => Err(std::io::Error::last_os_error()),
        0 if errno.is_some() => Err(std::io::Error::other("no listener")),
        // SAFETY: the descriptor is new, and nobody else's.
        listener => Ok(unsafe { OwnedFd::from_raw_fd(listener) }),
    }
}

// _IOWR('!', 0, struct seccomp_notif) and _IOWR('!', 1, struct seccomp_notif_resp)
const NOTIF_RECV: libc::Ioctl = 0xc050_2100_u32 as libc::Ioctl;
const NOTIF_SEND: libc::Ioctl = 0xc018_2101_u32 as libc::Ioctl;
const FLAG_CONTINUE: u32 = 1;

/// The next call; `None` when the thread has ended.
fn next(listener: &OwnedFd) -> Option<(u64, Call)> {
    let mut entry = libc::pollfd {
        fd: listener.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one entry, as the count says.
    let ready = unsafe { libc::poll(&raw mut entry, 1, 20_000) };
    assert_eq!(ready, 1, "the body neither called nor ended");
    if entry.revents & libc::POLLIN == 0 {
        return None;
    }
    // SAFETY: zero is a valid value of every field, and what the call wants.
    let mut notif: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: the call fills in the structure of the size that it encodes.
    let done = unsafe { libc::ioctl(listener.as_raw_fd(), NOTIF_RECV, &raw mut notif) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    let number = notif.data.nr.into();
    let args = notif.data.args;
    Some((notif.id, Call { number, args }))
}

fn reply(listener: &OwnedFd, id: u64, answer: Answer) {
    let (val, error, flags) = match answer {
        Answer::Real => (0, 0, FLAG_CONTINUE),
        Answer::Errno(errno) => (0, -errno, 0),
        Answer::Value(value) => (value, 0, 0),
    };
    let mut response = libc::seccomp_notif_resp {
        id,
        val,
        error,
        flags,
    };
    // SAFETY: the call reads the structure of the size that it encodes.
    let done = unsafe { libc::ioctl(listener.as_raw_fd(), NOTIF_SEND, &raw mut response) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
}

impl Call {
    /// What a `write` or `sendto` was asked to take: the thread that made the
    /// call sleeps, in this same process.
    pub(crate) fn plain(&self) -> Vec<u8> {
        piece(self.args[1], self.args[2])
    }
}

impl Call {
    /// How long a `ppoll` may wait; `None` is for ever.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        let timeout = std::ptr::with_exposed_provenance::<libc::timespec>(self.args[2] as usize);
        // SAFETY: the caller's, or null, while it is in the call.
        let timeout = unsafe { timeout.as_ref() }?;
        Some(Duration::new(timeout.tv_sec as u64, timeout.tv_nsec as u32))
    }

    /// Says of each descriptor of a `ppoll`, by what was asked, what it reports. Returns
    /// how many report anything.
    pub(crate) fn report(&self, revents: impl Fn(i16) -> i16) -> i64 {
        let fds = std::ptr::with_exposed_provenance_mut::<libc::pollfd>(self.args[0] as usize);
        let mut count = 0;
        for i in 0..self.args[1] as usize {
            // SAFETY: one of the caller's array of that many, while it is in the call.
            let fd = unsafe { &mut *fds.add(i) };
            fd.revents = if fd.fd < 0 { 0 } else { revents(fd.events) };
            count += i64::from(fd.revents != 0);
        }
        count
    }

    /// Writes an address of this family where a `getpeername` wants one.
    pub(crate) fn name_peer(&self, family: u16) {
        let name = std::ptr::with_exposed_provenance_mut::<u16>(self.args[1] as usize);
        let length = std::ptr::with_exposed_provenance_mut::<u32>(self.args[2] as usize);
        // SAFETY: the caller's own places, of at least these sizes, while it is in the
        // call.
        unsafe {
            name.write(family);
            length.write(16);
        }
    }
}

fn piece(start: u64, length: u64) -> Vec<u8> {
    let start = std::ptr::with_exposed_provenance::<u8>(start as usize);
    match length {
        0 => Vec::new(),
        // SAFETY: the caller's buffer of that length, while it is in the call.
        _ => unsafe { std::slice::from_raw_parts(start, length as usize) }.to_vec(),
    }
}
