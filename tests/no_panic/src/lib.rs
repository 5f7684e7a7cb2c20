//! No panic path is left in these calls. The panic handler calls a function that
//! nobody defines; where the compiler can prove that no panic is reached, the
//! handler is gone and the name with it. `ci/check no-panic` looks for the name.
#![no_std]

use core::net::{SocketAddrV4, SocketAddrV6};
use core::time::Duration;

use wouldblock::{
    BorrowedFd, Inline, Interest, Io, Key, PollFd, PollSet, Readiness, RecvFlags, SendFlags,
    SocketAddrAny, SocketAddrUnix,
};

unsafe extern "C" {
    safe fn wouldblock_can_panic(file: *const u8) -> !;
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    // The name of the file keeps the names of all files in the library.
    wouldblock_can_panic(info.location().map_or("", |place| place.file()).as_ptr())
}

type Set<'a> = PollSet<BorrowedFd<'a>, usize, Inline<64>>;

#[allow(improper_ctypes_definitions, reason = "never called")]
mod calls {
    use super::*;

    #[unsafe(no_mangle)]
    extern "C" fn np_recv(fd: BorrowedFd<'_>, buf: &mut [u8], flags: RecvFlags) -> Io {
        wouldblock::recv(fd, buf, flags)
    }

    #[unsafe(no_mangle)]
    extern "C" fn np_send(fd: BorrowedFd<'_>, buf: &[u8], flags: SendFlags) -> Io {
        wouldblock::send(fd, buf, flags)
    }

    #[unsafe(no_mangle)]
    extern "C" fn np_read(fd: BorrowedFd<'_>, buf: &mut [u8]) -> Io {
        wouldblock::read(fd, buf)
    }

    #[unsafe(no_mangle)]
    extern "C" fn np_write(fd: BorrowedFd<'_>, buf: &[u8]) -> Io {
        wouldblock::write(fd, buf)
    }

    #[unsafe(no_mangle)]
    extern "C" fn np_send_all(fd: BorrowedFd<'_>, buf: &mut &[u8], flags: SendFlags) -> Io<()> {
        wouldblock::send_all(fd, buf, flags)
    }

    #[unsafe(no_mangle)]
    extern "C" fn np_poll(fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> Io {
        wouldblock::poll(fds, timeout)
    }

    #[unsafe(no_mangle)]
    extern "C" fn np_connect_v4(fd: BorrowedFd<'_>, address: &SocketAddrV4) -> Io<()> {
        wouldblock::connect(fd, address)
    }

    #[unsafe(no_mangle)]
    extern "C" fn np_connect_v6(fd: BorrowedFd<'_>, address: &SocketAddrV6) -> Io<()> {
        wouldblock::connect(fd, address)
    }

    #[unsafe(no_mangle)]
    extern "C" fn np_connect_unix(fd: BorrowedFd<'_>, address: &SocketAddrUnix) -> Io<()> {
        wouldblock::connect(fd, address)
    }

    #[unsafe(no_mangle)]
    extern "C" fn np_connect_any(fd: BorrowedFd<'_>, address: &SocketAddrAny) -> Io<()> {
        wouldblock::connect(fd, address)
    }

    #[unsafe(no_mangle)]
    extern "C" fn np_send_to(fd: BorrowedFd<'_>, buf: &[u8], address: &SocketAddrUnix) -> Io {
        wouldblock::send_to(fd, buf, SendFlags::empty(), address)
    }

    #[unsafe(no_mangle)]
    extern "C" fn np_mode(fd: BorrowedFd<'_>, nonblocking: bool) -> bool {
        wouldblock::set_nonblocking(fd, nonblocking).is_ok()
            && wouldblock::is_nonblocking(fd) == Ok(nonblocking)
    }

    #[unsafe(no_mangle)]
    extern "C" fn np_guard(fd: BorrowedFd<'_>) -> bool {
        wouldblock::ModeGuard::new(fd, true).is_ok()
    }

    #[unsafe(no_mangle)]
    extern "C" fn np_set_register<'a>(set: &mut Set<'a>, fd: BorrowedFd<'a>, n: usize) -> bool {
        set.register(fd, Interest::READABLE, n).is_ok()
    }

    #[unsafe(no_mangle)]
    extern "C" fn np_set_change(set: &mut Set<'_>, key: Key, interest: Interest) -> bool {
        set.modify(key, interest).is_ok()
            && set.get(key).is_some()
            && set.key_of(set_fd()).is_some()
    }

    #[unsafe(no_mangle)]
    extern "C" fn np_set_unregister(set: &mut Set<'_>, key: Key) -> bool {
        set.unregister(key).is_ok()
    }

    #[unsafe(no_mangle)]
    extern "C" fn np_set_next(set: &mut Set<'_>) -> Option<(Key, Readiness)> {
        set.next_ready()
    }

    fn set_fd() -> BorrowedFd<'static> {
        // SAFETY: standard input; only its number is read.
        unsafe { BorrowedFd::borrow_raw(0) }
    }
}

/// Calls in which assertions of rustix's remain; none of this crate's may.
#[cfg(feature = "others")]
#[allow(improper_ctypes_definitions, reason = "never called")]
mod others {
    use super::*;
    use core::mem::MaybeUninit;
    use wouldblock::{
        AddressFamily, Deadline, IoSlice, IoSliceMut, Message, OwnedFd, Retry, SocketType,
    };

    #[unsafe(no_mangle)]
    extern "C" fn np_accept(fd: BorrowedFd<'_>) -> Io<OwnedFd> {
        wouldblock::accept(fd)
    }

    #[unsafe(no_mangle)]
    extern "C" fn np_accept_from(fd: BorrowedFd<'_>) -> bool {
        wouldblock::accept_from(fd).is_ready()
    }

    #[unsafe(no_mangle)]
    extern "C" fn np_finish_connect(fd: BorrowedFd<'_>) -> Io<()> {
        wouldblock::finish_connect(fd)
    }

    #[unsafe(no_mangle)]
    extern "C" fn np_recv_from(fd: BorrowedFd<'_>, buf: &mut [u8]) -> bool {
        wouldblock::recv_from(fd, buf, RecvFlags::empty()).is_ready()
    }

    #[unsafe(no_mangle)]
    extern "C" fn np_recv_from_with(
        fd: BorrowedFd<'_>,
        buf: &mut [MaybeUninit<u8>],
        then: extern "C" fn(usize),
    ) -> bool {
        wouldblock::recv_from_with(fd, buf, RecvFlags::empty(), |bytes, _| then(bytes.len()))
            .is_ready()
    }

    // Of more buffers than a call takes, they ask for the socket's type.
    #[unsafe(no_mangle)]
    extern "C" fn np_readv(fd: BorrowedFd<'_>, bufs: &mut [IoSliceMut<'_>]) -> Io {
        wouldblock::readv(fd, bufs)
    }

    #[unsafe(no_mangle)]
    extern "C" fn np_writev(fd: BorrowedFd<'_>, bufs: &[IoSlice<'_>]) -> Io {
        wouldblock::writev(fd, bufs)
    }

    #[unsafe(no_mangle)]
    extern "C" fn np_recv_fds(
        fd: BorrowedFd<'_>,
        bufs: &mut [IoSliceMut<'_>],
        into: &mut [Option<OwnedFd>],
    ) -> Io<Message> {
        wouldblock::recv_fds(fd, bufs, into, RecvFlags::empty())
    }

    #[unsafe(no_mangle)]
    extern "C" fn np_recv_fds_with(
        fd: BorrowedFd<'_>,
        bufs: &mut [IoSliceMut<'_>],
        keep: extern "C" fn(OwnedFd),
    ) -> Io<Message> {
        wouldblock::recv_fds_with(fd, bufs, RecvFlags::PEEK, |fd| keep(fd))
    }

    #[unsafe(no_mangle)]
    extern "C" fn np_send_fds(
        fd: BorrowedFd<'_>,
        bufs: &[IoSlice<'_>],
        descriptors: &[BorrowedFd<'_>],
    ) -> Io {
        wouldblock::send_fds(fd, bufs, descriptors.iter().copied(), SendFlags::empty())
    }

    #[unsafe(no_mangle)]
    extern "C" fn np_create() -> bool {
        let socket = wouldblock::socket(AddressFamily::INET, SocketType::STREAM, None);
        let pair = wouldblock::socketpair(AddressFamily::UNIX, SocketType::STREAM, None);
        socket.is_ok() && pair.is_ok() && wouldblock::pipe().is_ok()
    }

    #[unsafe(no_mangle)]
    extern "C" fn np_wait(fd: BorrowedFd<'_>, buf: &mut [u8], time: Duration) -> Io {
        wouldblock::until(fd, Deadline::after(time)).retry(Retry::Recv, |fd| {
            wouldblock::recv(fd, buf, RecvFlags::empty())
        })
    }

    #[unsafe(no_mangle)]
    extern "C" fn np_until_connect(
        fd: BorrowedFd<'_>,
        address: &SocketAddrUnix,
        deadline: Deadline,
    ) -> Io<()> {
        wouldblock::until(fd, deadline).connect(address)
    }

    #[unsafe(no_mangle)]
    extern "C" fn np_set_select(set: &mut Set<'_>, deadline: Deadline) -> Io {
        set.select(deadline)
    }
}

#[cfg(feature = "control")]
#[allow(improper_ctypes_definitions, reason = "never called")]
#[unsafe(no_mangle)]
extern "C" fn np_control(values: &[u8], index: usize) -> u8 {
    values[index]
}
