//! Several buffers at once, and writing until it would block.

#![allow(
    unstable_name_collisions,
    reason = "`as_slice`: see `Bytes` below; std's own does the same"
)]

use core::ops::{Deref, DerefMut, Range};

use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::fcntl_getfl;
use rustix::io::{Errno, IoSlice, IoSliceMut};
use rustix::net::{self, SocketType};

use super::stream::{send, write};
use super::{clamp, clamp_mut, retry_interrupted, stand_in};
use crate::mapping::classify::Op;
use crate::mapping::flags::SendFlags;
use crate::mapping::io::{Io, try_io};
use crate::ops::descriptor::Descriptor;
use crate::ops::mode::NonBlocking;
use crate::platform::errnos::{NO_PROGRESS, NO_SOCKET, TOO_MANY};
use crate::platform::host::O_DIRECT;
use crate::platform::{HOST, Platform};

/// `readv(fd, bufs, count)`—Reads into several buffers, without waiting.
///
/// Like [`read()`](crate::read()), filling one buffer after the other. `Ready(n)`
/// counts the bytes of all.
///
/// # Too many buffers
///
/// Of more buffers than the system takes in one call ([`Platform::iov_max`], 1024 on
/// most), or of more bytes, a stream uses only the first: a short count is a legal
/// answer. Where messages are kept, that would lose the rest of one, so there it is
/// refused, as the system does (EINVAL): on a socket that is no stream, and on a pipe
/// in packet mode (Linux's `O_DIRECT`). Which mode a pipe is in is known at its
/// writer alone, so its reader should not bring more buffers.
///
/// ```
/// use std::io::{IoSlice, IoSliceMut};
/// use wouldblock::{Io, pipe, readv, writev};
///
/// let (reader, writer) = pipe()?;
/// let bufs = [IoSlice::new(b"head"), IoSlice::new(b"body")];
/// assert_eq!(writev(&writer, &bufs), Io::Ready(8));
/// let (mut head, mut body) = ([0; 4], [0; 64]);
/// let mut bufs = [IoSliceMut::new(&mut head), IoSliceMut::new(&mut body)];
/// assert_eq!(readv(&reader, &mut bufs), Io::Ready(8));
/// assert_eq!((&head, &body[..4]), (b"head", &b"body"[..]));
/// # Ok::<(), wouldblock::Errno>(())
/// ```
///
/// # References
///
/// [POSIX](https://pubs.opengroup.org/onlinepubs/9799919799/functions/readv.html)
#[inline]
pub fn readv<Fd: Descriptor>(fd: Fd, bufs: &mut [IoSliceMut<'_>]) -> Io {
    readv_by(fd.as_fd(), bufs, HOST)
}

#[inline]
fn readv_by(fd: BorrowedFd<'_>, bufs: &mut [IoSliceMut<'_>], platform: &Platform) -> Io {
    fill(fd, bufs, platform, REFUSED, |bufs| {
        retry_interrupted(Op::Read, fd, bufs, move |fd, bufs| {
            stand_in::readv(fd, bufs)
        })
    })
}

/// `writev(fd, bufs, count)`—Writes several buffers, without waiting.
///
/// Like [`write()`], taking one buffer after the other; `Ready(n)` counts the
/// bytes of all. Of more buffers than the system takes in one call
/// ([`Platform::iov_max`], 1024 on most), or of more bytes, a stream takes the first;
/// where that would cut a message, the answer is EINVAL and nothing is written, as for
/// [`readv`]. To go on after a short count, std's `IoSlice::advance_slices` moves the
/// buffers forward.
///
/// Like `write`, it can raise SIGPIPE; on a socket use
/// [`send_msg`](crate::send_msg). With no byte to write it does nothing on Linux,
/// while `write` and `send` send an empty datagram.
///
/// # References
///
/// [POSIX](https://pubs.opengroup.org/onlinepubs/9799919799/functions/writev.html)
#[inline]
pub fn writev<Fd: Descriptor>(fd: Fd, bufs: &[IoSlice<'_>]) -> Io {
    writev_by(fd.as_fd(), bufs, HOST)
}

#[inline]
fn writev_by(fd: BorrowedFd<'_>, bufs: &[IoSlice<'_>], platform: &Platform) -> Io {
    take(fd, bufs, platform, REFUSED, |bufs| {
        retry_interrupted(Op::Write, fd, bufs, move |fd, bufs| {
            stand_in::writev(fd, bufs)
        })
    })
}

/// Calls with the buffers to fill: as many as one call takes, or the head of one.
#[inline]
pub(super) fn fill<T>(
    fd: BorrowedFd<'_>,
    bufs: &mut [IoSliceMut<'_>],
    platform: &Platform,
    too_many: Option<Errno>,
    call: impl FnOnce(&mut [IoSliceMut<'_>]) -> Io<T>,
) -> Io<T> {
    let lengths = bufs.iter().map(|buf| buf.as_slice().len());
    let pass = try_io!(buffers_to_pass(fd, lengths, platform, too_many));
    match bufs.get_mut(pass.start) {
        Some(first) if pass.is_empty() => {
            let head = clamp_mut(first.as_mut_slice(), platform);
            call(&mut [IoSliceMut::new(head)])
        }
        _ => call(bufs.get_mut(pass).unwrap_or_default()),
    }
}

/// Calls with the buffers to take from, likewise.
#[inline]
pub(super) fn take<T>(
    fd: BorrowedFd<'_>,
    bufs: &[IoSlice<'_>],
    platform: &Platform,
    too_many: Option<Errno>,
    call: impl FnOnce(&[IoSlice<'_>]) -> Io<T>,
) -> Io<T> {
    let lengths = bufs.iter().map(|buf| buf.as_slice().len());
    let pass = try_io!(buffers_to_pass(fd, lengths, platform, too_many));
    match bufs.get(pass.start) {
        Some(first) if pass.is_empty() => call(&[IoSlice::new(clamp(first.as_slice(), platform))]),
        _ => call(bufs.get(pass).unwrap_or_default()),
    }
}

/// The bytes, if they are all in one buffer.
#[inline]
pub(super) fn only<'a>(bufs: &'a [IoSlice<'_>]) -> Option<&'a [u8]> {
    match bufs {
        [buf] => Some(buf.as_slice()),
        _ => None,
    }
}

/// rustix cuts what is too much for `readv` and `writev`, and does not let the system
/// refuse it.
const REFUSED: Option<Errno> = Some(TOO_MANY);
/// The system refuses it.
pub(super) const PASSED: Option<Errno> = None;

/// Which of the buffers to pass. A stream may be given the first of them; a message must
/// be whole. If the range is empty although there are some, the one where it begins is
/// too long by itself: then its head is passed.
#[inline]
fn buffers_to_pass(
    fd: BorrowedFd<'_>,
    lengths: impl ExactSizeIterator<Item = usize> + Clone,
    platform: &Platform,
    too_many: Option<Errno>,
) -> Io<Range<usize>> {
    // Where a call takes one buffer, 0 bytes of an empty one would be the end.
    let start = match platform.iov_max {
        1 => lengths.clone().take_while(|&length| length == 0).count(),
        _ => 0,
    };
    let all = lengths.len();
    let fit = start + buffers_that_fit(lengths.skip(start), platform);
    if fit == all {
        return Io::Ready(start..fit);
    }
    match keeps_messages(fd, platform) {
        Ok(true) => too_many.map_or(Io::Ready(start..all), Io::Err),
        Ok(false) => Io::Ready(start..fit),
        Err(errno) => Io::Err(errno),
    }
}

/// Whether what is written in one call arrives as one.
#[cold]
#[inline(never)]
fn keeps_messages(fd: BorrowedFd<'_>, platform: &Platform) -> Result<bool, Errno> {
    match net::sockopt::socket_type(fd) {
        Ok(kind) => Ok(kind != SocketType::STREAM),
        Err(NO_SOCKET) => Ok(platform.packet_pipes && fcntl_getfl(fd)?.intersects(O_DIRECT)),
        Err(errno) => Err(errno),
    }
}

/// Whether what is read or received comes as it was sent, so that nothing may be a message.
#[cold]
#[inline(never)]
pub(crate) fn receives_messages(fd: BorrowedFd<'_>) -> bool {
    net::sockopt::socket_type(fd).is_ok_and(|kind| kind != SocketType::STREAM)
}

/// How many of the buffers of these lengths one call of `platform` takes whole.
/// None, where the first alone is too long.
#[inline]
fn buffers_that_fit(lengths: impl ExactSizeIterator<Item = usize>, platform: &Platform) -> usize {
    let most = lengths.len().min(platform.iov_max);
    if platform.io_max == usize::MAX {
        return most;
    }
    let mut room = platform.io_max;
    let fits = |length| {
        room = room.checked_sub(length)?;
        Some(())
    };
    lengths.take(most).map_while(fits).count()
}

/// Sends until all of `buf` is gone or the call would block.
///
/// `buf` is moved forward past every byte that was taken, so whatever the
/// answer is, it holds what is still to be sent: nothing is lost, nothing is sent
/// twice.
///
/// - `Ready(())`: all was taken; `buf` is empty. If it was so before, no call is made.
/// - `WouldBlock`: wait for [`Interest::WRITABLE`](crate::Interest::WRITABLE),
///   then call again with the same `buf`.
/// - `Err`: as for [`send()`]. After [`Outcome::BackOff`](crate::Outcome::BackOff)
///   it may go on with the same `buf`, too. EIO if the system takes none of some bytes
///   and gives no reason, which would be a loop without end; none is known to.
///
/// For streams; on a datagram socket every call would send a message.
///
/// ```
/// use wouldblock::{Io, SendFlags, send_all, set_nonblocking};
/// use std::os::unix::net::UnixStream;
///
/// let (ours, _theirs) = UnixStream::pair()?;
/// set_nonblocking(&ours, true)?;
/// let page = vec![7; 1 << 20];
/// let mut rest = &page[..];
/// assert_eq!(send_all(&ours, &mut rest, SendFlags::empty()), Io::WouldBlock);
/// assert!(rest.len() < page.len());
/// # Ok::<(), std::io::Error>(())
/// ```
#[inline]
pub fn send_all<Fd: Descriptor>(fd: Fd, buf: &mut &[u8], flags: SendFlags) -> Io<()> {
    let fd = fd.as_fd();
    all(buf, |rest| send(fd, rest, flags))
}

/// Writes until all of `buf` is gone or the call would block.
///
/// Like [`send_all`], for any descriptor, and with [`write()`]'s SIGPIPE.
#[inline]
pub fn write_all<Fd: Descriptor>(fd: Fd, buf: &mut &[u8]) -> Io<()> {
    let fd = fd.as_fd();
    all(buf, |rest| write(fd, rest))
}

#[inline]
fn all(buf: &mut &[u8], mut call: impl FnMut(&[u8]) -> Io) -> Io<()> {
    while !buf.is_empty() {
        match try_io!(call(buf)) {
            0 => return Io::Err(NO_PROGRESS),
            n => *buf = buf.get(n..).unwrap_or_default(),
        }
    }
    Io::Ready(())
}

/// The bytes of a buffer. rustix's `IoSlice` is std's where anybody in the
/// program turns rustix's `std` feature on, and one of its own elsewhere: the
/// one dereferences to its bytes, the other has methods of these names.
#[allow(dead_code, reason = "used where the types are std's")]
pub(super) trait Bytes: Deref<Target = [u8]> {
    fn as_slice(&self) -> &[u8] {
        self
    }
}

impl<T: Deref<Target = [u8]>> Bytes for T {}

#[allow(dead_code, reason = "used where the types are std's")]
pub(super) trait BytesMut: DerefMut<Target = [u8]> {
    fn as_mut_slice(&mut self) -> &mut [u8] {
        self
    }
}

impl<T: DerefMut<Target = [u8]>> BytesMut for T {}

/// Two operations as methods; see the functions of the same names.
impl<F: AsFd> NonBlocking<F> {
    /// See [`send_all()`].
    #[inline]
    pub fn send_all(&self, buf: &mut &[u8], flags: SendFlags) -> Io<()> {
        send_all(self, buf, flags)
    }

    /// See [`write_all()`].
    #[inline]
    pub fn write_all(&self, buf: &mut &[u8]) -> Io<()> {
        write_all(self, buf)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(io_max: usize, iov_max: usize) -> Platform {
        let mut platform = *HOST;
        platform.io_max = io_max;
        platform.iov_max = iov_max;
        platform
    }

    #[test]
    fn fitting_stops_at_the_number_of_buffers() {
        let lengths = [1; 20];
        assert_eq!(
            buffers_that_fit(lengths.into_iter(), &platform(usize::MAX, 16)),
            16
        );
        assert_eq!(
            buffers_that_fit(lengths.into_iter(), &platform(100, 16)),
            16
        );
        assert_eq!(buffers_that_fit([].into_iter(), &platform(100, 16)), 0);
    }

    #[test]
    fn fitting_stops_at_the_number_of_bytes() {
        assert_eq!(buffers_that_fit([4, 4, 4].into_iter(), &platform(8, 16)), 2);
        assert_eq!(
            buffers_that_fit([4, 4, 4].into_iter(), &platform(11, 16)),
            2
        );
        assert_eq!(
            buffers_that_fit([4, 4, 4].into_iter(), &platform(12, 16)),
            3
        );
        assert_eq!(buffers_that_fit([9].into_iter(), &platform(8, 16)), 0);
        assert_eq!(
            buffers_that_fit([usize::MAX, usize::MAX].into_iter(), &platform(8, 16)),
            0
        );
    }

    #[test]
    fn vectored_calls_with_one_buffer_above_the_platforms_limit_take_the_head() {
        let (reader, writer) = crate::ops::creation::pipe().unwrap();
        let limited = platform(3, 16);
        let bufs = [IoSlice::new(b"hello"), IoSlice::new(b"more")];
        let answer = writev_by(writer.as_fd(), &bufs, &limited);
        assert_eq!(answer, Io::Ready(3));
        assert_eq!(write(&writer, b"p me"), Io::Ready(4));
        let mut buf = [0; 8];
        let answer = readv_by(reader.as_fd(), &mut [IoSliceMut::new(&mut buf)], &limited);
        assert_eq!((answer, &buf), (Io::Ready(3), b"hel\0\0\0\0\0"));
        // Nothing of nothing is not the head of a first buffer.
        assert_eq!(writev_by(writer.as_fd(), &[], &limited), Io::Ready(0));
        assert_eq!(readv_by(reader.as_fd(), &mut [], &limited), Io::Ready(0));
    }

    #[test]
    fn vectored_calls_of_one_buffer_pass_over_those_that_are_empty() {
        let (reader, writer) = crate::ops::creation::pipe().unwrap();
        let limited = platform(usize::MAX, 1);
        let bufs = [&b""[..], b"", b"hello", b"more"].map(IoSlice::new);
        assert_eq!(writev_by(writer.as_fd(), &bufs, &limited), Io::Ready(5));
        let (mut none, mut buf) = ([], [0; 8]);
        let bufs = &mut [IoSliceMut::new(&mut none), IoSliceMut::new(&mut buf)];
        assert_eq!(readv_by(reader.as_fd(), bufs, &limited), Io::Ready(5));
        assert_eq!(&buf, b"hello\0\0\0");
        let nothing = [IoSlice::new(b"")];
        assert_eq!(writev_by(writer.as_fd(), &nothing, &limited), Io::Ready(0));
    }

    /// What three slices of one buffer of 1 GiB hold is more than 32 bits can say.
    #[test]
    fn fitting_stops_before_the_sum_overflows() {
        let thirty_two = platform(0x7fff_ffff, 1024);
        assert_eq!(buffers_that_fit([1 << 30; 3].into_iter(), &thirty_two), 1);
        let here = platform(isize::MAX.unsigned_abs(), 1024);
        let third = [isize::MAX.unsigned_abs() / 2; 3];
        assert_eq!(buffers_that_fit(third.into_iter(), &here), 2);
    }

    #[test]
    fn vectored_calls_above_the_platforms_limit_cut_no_message() {
        use crate::ops::creation::socketpair;
        use rustix::net::AddressFamily;
        let limited = platform(3, 16);
        for kind in [SocketType::DGRAM, SocketType::SEQPACKET] {
            let (ours, theirs) = socketpair(AddressFamily::UNIX, kind, None).unwrap();
            let bufs = [IoSlice::new(b"he"), IoSlice::new(b"llo")];
            let answer = writev_by(ours.as_fd(), &bufs, &limited);
            assert_eq!(answer, Io::Err(TOO_MANY));
            assert_eq!(write(&ours, b"hello"), Io::Ready(5));
            let mut buf = [0; 8];
            let bufs = &mut [IoSliceMut::new(&mut buf)];
            let answer = readv_by(theirs.as_fd(), bufs, &limited);
            assert_eq!(answer, Io::Err(TOO_MANY));
            assert_eq!(readv_by(theirs.as_fd(), bufs, HOST), Io::Ready(5));
        }
    }

    #[test]
    fn all_with_a_call_that_takes_nothing_fails_instead_of_spinning() {
        let mut rest = &b"abc"[..];
        assert_eq!(all(&mut rest, |_| Io::Ready(0)), Io::Err(NO_PROGRESS));
        assert_eq!(rest, b"abc");
    }

    #[test]
    fn all_in_small_bites_loses_and_doubles_nothing() {
        let mut taken = [0; 7];
        let mut n = 0;
        let mut rest = &b"abcdefg"[..];
        let mut bite = |rest: &[u8]| {
            if n == 4 {
                return Io::WouldBlock;
            }
            let step = rest.len().min(2);
            taken[n..n + step].copy_from_slice(&rest[..step]);
            n += step;
            Io::Ready(step)
        };
        assert_eq!(all(&mut rest, &mut bite), Io::WouldBlock);
        assert_eq!(rest, b"efg");
        assert_eq!(&taken[..4], b"abcd");
    }
}
