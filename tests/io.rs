//! `Io` itself: its combinators and its conversions.

use std::task::Poll;

use wouldblock::{Errno, Io, Op, Outcome, classify, platform::HOST};

const ANSWERS: [Io; 3] = [Io::Ready(3), Io::WouldBlock, Io::Err(Errno::PIPE)];

#[test]
fn predicates_name_one_variant_each() {
    let table = ANSWERS.map(|answer| (answer.is_ready(), answer.is_would_block(), answer.is_err()));
    assert_eq!(
        table,
        [
            (true, false, false),
            (false, true, false),
            (false, false, true)
        ]
    );
}

#[test]
fn accessors_keep_what_is_theirs() {
    assert_eq!(ANSWERS.map(Io::ready), [Some(3), None, None]);
    assert_eq!(ANSWERS.map(Io::err), [None, None, Some(Errno::PIPE)]);
}

#[test]
fn map_and_and_then_touch_the_value_only() {
    let doubled = ANSWERS.map(|answer| answer.map(|n| n * 2));
    assert_eq!(
        doubled,
        [Io::Ready(6), Io::WouldBlock, Io::Err(Errno::PIPE)]
    );
    let blocked = ANSWERS.map(|answer| answer.and_then(|_| Io::<()>::WouldBlock));
    assert_eq!(
        blocked,
        [Io::WouldBlock, Io::WouldBlock, Io::Err(Errno::PIPE)]
    );
}

#[test]
fn into_result_and_into_poll_lose_nothing() {
    assert_eq!(
        ANSWERS.map(Io::into_result),
        [Ok(Some(3)), Ok(None), Err(Errno::PIPE)]
    );
    assert_eq!(
        ANSWERS.map(Io::into_poll),
        [
            Poll::Ready(Ok(3)),
            Poll::Pending,
            Poll::Ready(Err(Errno::PIPE))
        ]
    );
}

#[test]
fn from_result_is_the_classifiers_answer_for_every_errno_and_operation() {
    for op in [
        Op::Read,
        Op::Write,
        Op::Recv,
        Op::Send,
        Op::SendToUnix,
        Op::Accept,
        Op::Connect,
        Op::ConnectUnix,
        Op::Poll,
    ] {
        assert_eq!(Io::from_result(op, Ok(7)), Io::Ready(7));
        for raw in 1..=133 {
            let errno = Errno::from_raw_os_error(raw);
            let expected = match classify(op, raw, HOST) {
                Outcome::WouldBlock => Io::WouldBlock,
                _ => Io::Err(errno),
            };
            assert_eq!(
                Io::<usize>::from_result(op, Err(errno)),
                expected,
                "{op:?} {raw}"
            );
        }
    }
}

#[cfg(feature = "std")]
mod std_io {
    use super::ANSWERS;
    use std::io::{Error, ErrorKind, Result};
    use wouldblock::{Errno, Io, platform::HOST};

    #[test]
    fn into_io_result_gives_only_would_block_that_kind() {
        // Every errno that a system may have, however std decodes it.
        for raw in 1..4096 {
            let error = Io::<usize>::Err(Errno::from_raw_os_error(raw))
                .into_io_result()
                .unwrap_err();
            assert_ne!(error.kind(), ErrorKind::WouldBlock, "errno {raw}");
            if raw == HOST.eagain || raw == HOST.ewouldblock {
                assert_eq!(error.kind(), ErrorKind::ResourceBusy);
            } else {
                assert_eq!(error.raw_os_error(), Some(raw));
                assert_eq!(error.kind(), Error::from_raw_os_error(raw).kind());
            }
        }
        let error = Io::<usize>::WouldBlock.into_io_result().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert_eq!(error.raw_os_error(), Some(HOST.eagain));
    }

    /// What `Io::Err` warns of: std decodes the number, and knows no call.
    #[test]
    fn c31_into_result_and_question_mark_make_eagain_would_block_again() {
        fn loses_it(answer: Io) -> Result<Option<usize>> {
            Ok(answer.into_result()?)
        }
        let full = Io::Err(Errno::AGAIN);
        assert_eq!(loses_it(full).unwrap_err().kind(), ErrorKind::WouldBlock);
        for keeps_it in [Io::into_io_result, Io::or_timed_out] {
            let error = keeps_it(full).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ResourceBusy);
        }
    }

    #[test]
    fn or_timed_out_changes_would_block_alone() {
        assert_eq!(ANSWERS[0].or_timed_out().unwrap(), 3);
        let kind = |answer: Io| answer.or_timed_out().unwrap_err().kind();
        assert_eq!(kind(ANSWERS[1]), ErrorKind::TimedOut);
        assert_eq!(kind(ANSWERS[2]), ErrorKind::BrokenPipe);
    }

    #[test]
    fn from_for_io_result_is_into_io_result() {
        assert_eq!(Result::<usize>::from(ANSWERS[0]).unwrap(), 3);
        assert_eq!(
            Result::<usize>::from(ANSWERS[1]).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        assert_eq!(
            Result::<usize>::from(ANSWERS[2]).unwrap_err().kind(),
            ErrorKind::BrokenPipe
        );
    }
}
