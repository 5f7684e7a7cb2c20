//! [`Io`], the answer of every call. Knows no errno and makes no system call.

use core::task::Poll;

use rustix::io::Errno;

use crate::mapping::classify::{Op, Outcome};
#[cfg(feature = "std")]
use crate::platform::errnos::WOULD_BLOCK;

/// What a non-blocking call answered.
///
/// There are three answers and no others, and a `match` has to name them all:
/// that is the point of the type.
///
/// | variant | it means | go on by |
/// |---|---|---|
/// | `Ready(value)` | the call did what it was asked to, perhaps in part | using the value |
/// | `WouldBlock` | it did nothing, and readiness says when to call again | [`poll`](crate::poll()) for [`Op::interest`](crate::Op::interest) |
/// | `Err(errno)` | it failed | [`Op::outcome`](crate::Op::outcome), which tells a retry from a failure |
///
/// For `connect`, `WouldBlock` means that the attempt is under way; for `poll`,
/// that the time ran out with nothing ready. The exact rule is in
/// [`classify`](crate::classify).
///
/// # The six meanings of `Ready(0)`
///
/// A call that received or read, and got nothing, found one of these. The number does
/// not tell which; the kind of descriptor does.
///
/// | meaning | on | does it last? | do |
/// |---|---|---|---|
/// | end of file | a stream socket, an anonymous pipe, a regular file, SEQPACKET | yes | stop: a loop that calls again spins |
/// | an empty message | a datagram or SEQPACKET socket | no | go on |
/// | an empty buffer | any | as long as you ask for nothing | ask for something; systems differ, see [`recv`](crate::recv()) |
/// | nothing *yet* | a terminal with VMIN = 0 | until something is typed | wait before every read: `poll` is not deceived |
/// | Ctrl-D | a terminal that edits lines | no: it is told once | your choice: more can be typed |
/// | the last writer left | a FIFO | until another opens it | keep a write end of your own open: then nothing there is `WouldBlock`, and not this |
///
/// On SEQPACKET the end and an empty message look alike. It is the end if the
/// [`Readiness`](crate::Readiness) before the call has `READ_CLOSED` or `HANG_UP`; on a
/// system without the first (NetBSD, OpenBSD) take any 0 for it. An empty message that
/// the peer sent just before it closed cannot be told from the end: close behind one that
/// is not empty.
///
/// This loop spins on none of them, because it waits before every call, and is told what
/// the end looks like:
///
/// ```
/// use wouldblock::{AsFd, Deadline, Errno, Interest, Io, Readiness, read, until};
///
/// fn read_to_end(
///     fd: impl AsFd,
///     is_end: fn(Readiness) -> bool,
///     mut take: impl FnMut(&[u8]),
/// ) -> Result<(), Errno> {
///     let mut buf = [0; 4096];
///     loop {
///         let wait = until(&fd, Deadline::never()).ready(Interest::READABLE);
///         let Some(readiness) = wait.into_result()? else {
///             continue; // Only a deadline that passes says so.
///         };
///         match read(&fd, &mut buf) {
///             Io::Ready(0) if is_end(readiness) => return Ok(()),
///             Io::Ready(n) => take(&buf[..n]),
///             Io::WouldBlock => {}
///             Io::Err(errno) => return Err(errno),
///         }
///     }
/// }
///
/// // A stream, a pipe, a file; a FIFO, too: with a write end of your own it has no end.
/// let stream = |_| true;
/// let datagram = |_| false;
/// let terminal = |readiness: Readiness| readiness.is_hang_up();
/// let seqpacket = |readiness: Readiness| {
///     let cannot_tell = wouldblock::platform::HOST.pollrdhup == 0;
///     cannot_tell || readiness.is_read_closed() || readiness.is_hang_up()
/// };
/// # let _: [fn(Readiness) -> bool; 4] = [stream, datagram, terminal, seqpacket];
/// # let (ours, theirs) = wouldblock::socketpair(
/// #     wouldblock::AddressFamily::UNIX, wouldblock::SocketType::STREAM, None)?;
/// # assert!(wouldblock::write(&theirs, b"hello").is_ready());
/// # drop(theirs);
/// # let mut all = Vec::new();
/// # read_to_end(&ours, stream, |bytes| all.extend_from_slice(bytes))?;
/// # assert_eq!(all, b"hello");
/// # Ok::<(), Errno>(())
/// ```
///
/// # The `?` operator
///
/// It does not know three answers, and the compiler says so. What to write instead is a
/// question of what the function returns:
///
/// | the function returns | the value is |
/// |---|---|
/// | `Io` | [`try_io!`](crate::try_io)`(answer)` |
/// | `Result<_, Errno>` | `answer.into_result()?`, an `Option`: `None` is would-block |
/// | `std::io::Result` | `answer.into_io_result()?`; of a wait, `answer.or_timed_out()?` |
/// | [`Poll`] | `ready!(answer.into_poll())?` |
///
/// # For layers above
///
/// A layer that buffers, encrypts or frames must not invent `WouldBlock`: who
/// receives one waits for the kernel's readiness, and where the missing bytes
/// are not the kernel's, that event never comes. Pass on the one that the
/// descriptor gave, or answer with a type of your own. For the same reason
/// there is no conversion from an errno alone; [`Io::from_result`] wants to know
/// which operation failed.
///
/// # Examples
///
/// ```
/// use wouldblock::{Io, RecvFlags, recv, set_nonblocking};
/// use std::os::unix::net::UnixStream;
///
/// let (ours, theirs) = UnixStream::pair()?;
/// set_nonblocking(&ours, true)?;
///
/// let mut buf = [0; 64];
/// match recv(&ours, &mut buf, RecvFlags::empty()) {
///     Io::Ready(0) => println!("the peer has closed"),
///     Io::Ready(n) => println!("{n} bytes: {:?}", &buf[..n]),
///     Io::WouldBlock => println!("nothing yet"),
///     Io::Err(errno) => return Err(errno.into()),
/// }
/// # drop(theirs);
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "a call that would block did nothing: match on the answer, and wait before calling again"]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Io<T = usize> {
    /// The call succeeded, with this value: for most calls a number of bytes.
    Ready(T),
    /// The call did nothing now; readiness for its interest says when to go on.
    #[doc(alias = "EAGAIN")]
    #[doc(alias = "EWOULDBLOCK")]
    WouldBlock,
    /// The call failed, for this reason.
    ///
    /// Never one that means would-block, whatever its number: an `EAGAIN` in
    /// here came with a descriptor for which waiting is wrong, and
    /// [`Op::outcome`](crate::Op::outcome) says what is right instead.
    ///
    /// Turned into a `std::io::Error` as it is, by `errno.into()` or by `?`, such an
    /// `EAGAIN` looks like would-block again: std knows the number, and not the call. So
    /// turn the *answer* into a result, by `into_io_result` or `or_timed_out`.
    Err(Errno),
}

// Two words: cheap enough to return by value from every call.
static_assertions::const_assert!(size_of::<Io>() <= 16);
static_assertions::assert_impl_all!(Io: Copy, Send, Sync, Unpin, core::hash::Hash);
static_assertions::assert_not_impl_any!(Io<rustix::fd::OwnedFd>: Clone);

/// The value of an answer, or the end of the function, which answers the same.
///
/// For a function that returns an [`Io`], of whatever value: what `?` is to a `Result`,
/// and [`core::task::ready!`] to a `Poll`. The function is left at once and begins anew
/// when it is called again, so what it had received or sent by then must be kept outside
/// of it.
///
/// ```
/// use wouldblock::{AsFd, Io, RecvFlags, SendFlags, recv, send_all, try_io};
///
/// /// Whether the peer agrees. After `WouldBlock`, called again, it goes on: until
/// /// `question` is empty it waits for room, and then for the answer.
/// fn agrees(fd: impl AsFd, question: &mut &[u8]) -> Io<bool> {
///     try_io!(send_all(&fd, question, SendFlags::empty()));
///     let mut buf = [0; 1];
///     let n = try_io!(recv(&fd, &mut buf, RecvFlags::empty()));
///     Io::Ready(buf[..n] == *b"y")
/// }
/// # let (ours, theirs) = wouldblock::socketpair(
/// #     wouldblock::AddressFamily::UNIX, wouldblock::SocketType::STREAM, None)?;
/// # let mut question = &b"do you?"[..];
/// # assert_eq!(agrees(&ours, &mut question), Io::WouldBlock);
/// # assert!(question.is_empty());
/// # assert!(wouldblock::write(&theirs, b"y").is_ready());
/// # assert_eq!(agrees(&ours, &mut question), Io::Ready(true));
/// # drop(theirs);
/// # assert!(agrees(&ours, &mut &b"still?"[..]).is_err());
/// # Ok::<(), wouldblock::Errno>(())
/// ```
#[macro_export]
macro_rules! try_io {
    ($answer:expr $(,)?) => {
        match $answer {
            $crate::Io::Ready(value) => value,
            $crate::Io::WouldBlock => return $crate::Io::WouldBlock,
            $crate::Io::Err(errno) => return $crate::Io::Err(errno),
        }
    };
}
pub(crate) use try_io;

impl<T> Io<T> {
    /// The answer of a call that was made without this crate.
    ///
    /// An errno alone does not say whether it means would-block, so this wants
    /// the operation too. `EINTR` stays an `Err`.
    ///
    /// ```
    /// use wouldblock::{Errno, Io, Op};
    ///
    /// // EAGAIN from recv: wait. From connect: nothing was started.
    /// let again = || Err::<usize, _>(Errno::AGAIN);
    /// assert_eq!(Io::from_result(Op::Recv, again()), Io::WouldBlock);
    /// assert_eq!(Io::from_result(Op::Connect, again()), Io::Err(Errno::AGAIN));
    /// ```
    #[inline]
    pub fn from_result(op: Op, result: Result<T, Errno>) -> Self {
        match result {
            Ok(value) => Self::Ready(value),
            Err(errno) => match op.outcome(errno) {
                Outcome::WouldBlock => Self::WouldBlock,
                _ => Self::Err(errno),
            },
        }
    }

    /// Whether the call succeeded.
    #[inline]
    #[must_use = "a call that would block did nothing"]
    pub const fn is_ready(&self) -> bool {
        matches!(self, Self::Ready(_))
    }

    /// Whether the call would have blocked.
    #[inline]
    #[must_use = "a call that would block did nothing"]
    pub const fn is_would_block(&self) -> bool {
        matches!(self, Self::WouldBlock)
    }

    /// Whether the call failed.
    #[inline]
    #[must_use = "a call that would block did nothing"]
    pub const fn is_err(&self) -> bool {
        matches!(self, Self::Err(_))
    }

    /// The value, if the call succeeded.
    #[inline]
    #[must_use = "a call that would block did nothing"]
    pub fn ready(self) -> Option<T> {
        match self {
            Self::Ready(value) => Some(value),
            Self::WouldBlock | Self::Err(_) => None,
        }
    }

    /// The errno, if the call failed.
    #[inline]
    #[must_use = "a call that would block did nothing"]
    pub fn err(self) -> Option<Errno> {
        match self {
            Self::Err(errno) => Some(errno),
            Self::Ready(_) | Self::WouldBlock => None,
        }
    }

    /// Applies `f` to the value, if there is one.
    ///
    /// ```
    /// # use wouldblock::Io;
    /// assert_eq!(Io::Ready(2).map(|n| n * 8), Io::Ready(16));
    /// assert_eq!(Io::<usize>::WouldBlock.map(|n| n * 8), Io::WouldBlock);
    /// ```
    #[inline]
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Io<U> {
        Io::Ready(f(try_io!(self)))
    }

    /// Goes on with `f` if the call succeeded.
    ///
    /// ```
    /// # use wouldblock::Io;
    /// let half = |n: usize| if n % 2 == 0 { Io::Ready(n / 2) } else { Io::WouldBlock };
    /// assert_eq!(Io::Ready(8).and_then(half), Io::Ready(4));
    /// assert_eq!(Io::Ready(7).and_then(half), Io::WouldBlock);
    /// ```
    #[inline]
    pub fn and_then<U>(self, f: impl FnOnce(T) -> Io<U>) -> Io<U> {
        f(try_io!(self))
    }

    /// `Ok(Some(value))`, `Ok(None)` for would-block, or the errno: the form for
    /// the `?` operator in a function whose error is an [`Errno`].
    ///
    /// In a function of `std::io::Result`, that `?` turns the errno into std's error, of
    /// which `EAGAIN` (`connect` to a full backlog, `send_to` a full receiver) has the kind
    /// `WouldBlock`, and whoever waits because of it waits for nothing. There:
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// # use wouldblock::{Errno, Io};
    /// use std::io::{ErrorKind, Result};
    ///
    /// fn keeps_it(answer: Io) -> Result<Option<usize>> {
    ///     Ok(match answer {
    ///         Io::WouldBlock => None,
    ///         answer => Some(answer.into_io_result()?),
    ///     })
    /// }
    /// let error = keeps_it(Io::Err(Errno::AGAIN)).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::ResourceBusy);
    /// # }
    /// ```
    ///
    /// # Examples
    ///
    /// ```
    /// # use wouldblock::{Errno, Io};
    /// # fn example(answer: Io) -> Result<(), Errno> {
    /// if let Some(n) = answer.into_result()? {
    ///     println!("{n} bytes");
    /// }
    /// # Ok(())
    /// # }
    /// # example(Io::WouldBlock).unwrap();
    /// ```
    #[inline]
    pub fn into_result(self) -> Result<Option<T>, Errno> {
        match self {
            Self::Ready(value) => Ok(Some(value)),
            Self::WouldBlock => Ok(None),
            Self::Err(errno) => Err(errno),
        }
    }

    /// Converts to [`Poll`]; would-block becomes `Pending`. No waker is registered.
    ///
    /// A `Future` that returns this `Pending` must itself have arranged to be woken.
    ///
    /// ```
    /// # use wouldblock::{Errno, Io};
    /// use std::task::Poll;
    ///
    /// assert_eq!(Io::Ready(3).into_poll(), Poll::Ready(Ok(3)));
    /// assert_eq!(Io::<usize>::WouldBlock.into_poll(), Poll::Pending);
    /// ```
    #[inline]
    pub fn into_poll(self) -> Poll<Result<T, Errno>> {
        match self {
            Self::Ready(value) => Poll::Ready(Ok(value)),
            Self::WouldBlock => Poll::Pending,
            Self::Err(errno) => Poll::Ready(Err(errno)),
        }
    }

    /// The answer as [`std::io`] reports it.
    ///
    /// Only `WouldBlock` becomes [`ErrorKind::WouldBlock`](std::io::ErrorKind::WouldBlock),
    /// with `EAGAIN` as its raw errno, whatever the call.
    /// An `Err` whose errno std would decode to that kind, such as `connect`'s
    /// `EAGAIN` for a full backlog, becomes
    /// [`ErrorKind::ResourceBusy`](std::io::ErrorKind::ResourceBusy) without a
    /// raw errno, because code above would otherwise wait for an event that
    /// does not come. (The way round this method, `Err(errno.into())` or
    /// [`into_result`](Self::into_result)`()?`, does not do that.) Any other `Err` keeps
    /// its errno. Nothing is allocated.
    ///
    /// In a test, `.into_io_result().unwrap()` shows whatever came instead of a value.
    ///
    /// ```
    /// # use wouldblock::{Errno, Io};
    /// use std::io::ErrorKind;
    ///
    /// let kind = |answer: Io| answer.into_io_result().unwrap_err().kind();
    /// assert_eq!(kind(Io::WouldBlock), ErrorKind::WouldBlock);
    /// assert_eq!(kind(Io::Err(Errno::AGAIN)), ErrorKind::ResourceBusy);
    /// assert_eq!(kind(Io::Err(Errno::CONNRESET)), ErrorKind::ConnectionReset);
    /// ```
    #[cfg(feature = "std")]
    #[inline]
    pub fn into_io_result(self) -> std::io::Result<T> {
        use std::io::{Error, ErrorKind};
        match self {
            Self::Ready(value) => Ok(value),
            Self::WouldBlock => Err(WOULD_BLOCK.into()),
            Self::Err(errno) => {
                let error = Error::from(errno);
                match error.kind() {
                    ErrorKind::WouldBlock => Err(ErrorKind::ResourceBusy.into()),
                    _ => Err(error),
                }
            }
        }
    }

    /// The answer of a wait as [`std::io`] reports it: like
    /// [`into_io_result`](Self::into_io_result), but would-block, which says that the
    /// deadline passed, becomes [`ErrorKind::TimedOut`](std::io::ErrorKind::TimedOut).
    ///
    /// ```
    /// # use wouldblock::Io;
    /// use std::io::ErrorKind;
    ///
    /// let error = Io::<usize>::WouldBlock.or_timed_out().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::TimedOut);
    /// ```
    #[cfg(feature = "std")]
    #[inline]
    pub fn or_timed_out(self) -> std::io::Result<T> {
        match self {
            Self::WouldBlock => Err(std::io::ErrorKind::TimedOut.into()),
            answer => answer.into_io_result(),
        }
    }
}

/// See [`Io::into_io_result`].
#[cfg(feature = "std")]
impl<T> From<Io<T>> for std::io::Result<T> {
    #[inline]
    fn from(answer: Io<T>) -> Self {
        answer.into_io_result()
    }
}
