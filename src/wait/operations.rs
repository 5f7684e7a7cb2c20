//! Every operation once, for those that call again: how it is called, and what it is
//! to the classifier.

/// Calls `$make!` with the operations: those of one call; those of which an answer may
/// be nothing; and those of several calls, which move what is left of their first
/// argument, and so show whether anything was done.
macro_rules! each_operation {
    ($make:ident) => {
        $make! {
            {
                recv(buf: &mut [u8], flags: RecvFlags) -> Io: Op::Recv;
                recv_from(buf: &mut [u8], flags: RecvFlags) -> Io<(usize, Option<PeerAddress>)>: Op::Recv;
                recv_msg(bufs: &mut [IoSliceMut<'_>], flags: RecvFlags) -> Io<Message>: Op::Recv;
                recv_fds(
                    bufs: &mut [IoSliceMut<'_>],
                    into: &mut [Option<OwnedFd>],
                    flags: RecvFlags
                ) -> Io<Message>: Op::Recv;
                send(buf: &[u8], flags: SendFlags) -> Io: Op::Send;
                send_to(buf: &[u8], flags: SendFlags, address: &impl Address) -> Io: op_to(address);
                write(buf: &[u8]) -> Io: Op::Write;
                accept() -> Io<OwnedFd>: Op::Accept;
                accept_from() -> Io<(OwnedFd, Option<PeerAddress>)>: Op::Accept;
                finish_connect() -> Io<()>: Op::Connect;
            }
            {
                read(buf: &mut [u8]) -> Io: Op::Read, |n| *n == 0 && !buf.is_empty();
            }
            {
                send_all(rest: &mut &[u8], flags: SendFlags): Op::Send, |rest| rest.len();
                send_msg_all(rest: &mut &mut [IoSlice<'_>], flags: SendFlags): Op::Send, |rest| left(rest);
                write_all(rest: &mut &[u8]): Op::Write, |rest| rest.len();
                writev_all(rest: &mut &mut [IoSlice<'_>]): Op::Write, |rest| left(rest);
            }
        }
    };
}
pub(super) use each_operation;
