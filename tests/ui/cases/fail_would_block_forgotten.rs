//! The three answers: a `match` that forgets one, and an answer made from an errno
//! without the operation that says what it means.

use wouldblock::{Errno, Io, read};

fn forgotten(fd: wouldblock::BorrowedFd<'_>) -> usize {
    match read(fd, &mut [0; 64]) {
        Io::Ready(n) => n,
        Io::Err(_) => 0,
    }
}

fn from_errno(result: Result<usize, Errno>) -> Io {
    result.into()
}

fn main() {
    let _ = (forgotten, from_errno);
}
