//! `?`, which knows two answers and not three. The documentation of `Io` has a section
//! of that name.

use wouldblock::{BorrowedFd, Errno, Io, read, recv, set_nonblocking};

fn in_a_result(fd: BorrowedFd<'_>) -> std::io::Result<usize> {
    let n = read(fd, &mut [0; 64])?;
    Ok(n)
}

fn in_a_function_that_returns_io(fd: BorrowedFd<'_>) -> Io {
    let n = recv(fd, &mut [0; 64], Default::default())?;
    Io::Ready(n)
}

fn of_a_result_there(fd: BorrowedFd<'_>) -> Io {
    set_nonblocking(fd, true)?;
    Io::Ready(0)
}

fn into_a_result(fd: BorrowedFd<'_>) -> Result<usize, Errno> {
    read(fd, &mut [0; 64]).into()
}

fn main() {
    let _ = (in_a_result, in_a_function_that_returns_io, of_a_result_there);
    let _ = into_a_result;
}
