//! Every operation once, for those that call again: how it is called, and what it is
//! to the classifier.

/// Calls `$make!` with the operations: those that answer with a count of their first
/// argument, and have but one errno for would-block; those that answer with another
/// value, and whether that looks like an end; those of several calls, which move what is
/// left of their first argument, and so show whether anything was done.
macro_rules! each_operation {
    ($make:ident) => {
        $make! {
            counts {
                recv(buf: &mut [u8], flags: RecvFlags): Op::Recv;
                read(buf: &mut [u8]): Op::Read;
                send(buf: &[u8], flags: SendFlags): Op::Send;
                write(buf: &[u8]): Op::Write;
            }
            values {
                recv_from(buf: &mut [u8], flags: RecvFlags) -> (usize, Option<PeerAddress>): Op::Recv, |got| got.0 == 0;
                recv_msg(bufs: &mut [IoSliceMut<'_>], flags: RecvFlags) -> Message: Op::Recv, |got| got.bytes == 0;
                recv_fds(
                    bufs: &mut [IoSliceMut<'_>],
                    into: &mut [Option<OwnedFd>],
                    flags: RecvFlags
                ) -> Message: Op::Recv, |got| got.bytes == 0;
                accept() -> OwnedFd: Op::Accept, |_| false;
                accept_from() -> (OwnedFd, Option<PeerAddress>): Op::Accept, |_| false;
                finish_connect() -> (): Op::Connect, |_| false;
            }
            drains {
                send_all(rest: &mut &[u8], flags: SendFlags): Op::Send;
                write_all(rest: &mut &[u8]): Op::Write;
            }
        }
    };
}
pub(super) use each_operation;
