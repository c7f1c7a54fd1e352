//! The calls of WASI that would change files, and those that sync or prepare a
//! change. A function can't change any file, so they fail. Sockets are not
//! available either.

use wasmtime::{FuncType, Linker, Result, Val, ValType};

use super::MODULE;
use super::errno::{BADF, NOTSOCK, ROFS, SPIPE, SUCCESS};
use super::files::known;
use crate::guest::state::State;
use crate::guest::state::files::FIRST;

/// Each call: the types of its parameters (`i` has 32 bits, `I` has 64), the
/// index of the descriptor among them, and the result for a valid descriptor.
const CALLS: [(&str, &str, usize, i32); 18] = [
    ("path_create_directory", "iii", 0, ROFS),
    ("path_remove_directory", "iii", 0, ROFS),
    ("path_unlink_file", "iii", 0, ROFS),
    ("path_rename", "iiiiii", 0, ROFS),
    ("path_link", "iiiiiii", 0, ROFS),
    ("path_symlink", "iiiii", 2, ROFS),
    ("path_filestat_set_times", "iiiiIIi", 0, ROFS),
    ("fd_filestat_set_times", "iIIi", 0, ROFS),
    ("fd_filestat_set_size", "iI", 0, ROFS),
    ("fd_allocate", "iII", 0, ROFS),
    ("fd_advise", "iIIi", 0, SUCCESS),
    ("fd_pwrite", "iiiIi", 0, BADF),
    ("sock_accept", "iii", 0, NOTSOCK),
    ("sock_recv", "iiiiii", 0, NOTSOCK),
    ("sock_send", "iiiii", 0, NOTSOCK),
    ("sock_shutdown", "ii", 0, NOTSOCK),
    ("fd_sync", "i", 0, SUCCESS),
    ("fd_datasync", "i", 0, SUCCESS),
];

pub(crate) fn add_to(linker: &mut Linker<State>) -> Result<()> {
    for (name, parameters, descriptor, code) in CALLS {
        let parameters = parameters.chars().map(|kind| match kind {
            'I' => ValType::I64,
            _ => ValType::I32,
        });
        let signature = FuncType::new(linker.engine(), parameters, [ValType::I32]);
        linker.func_new(MODULE, name, signature, move |mut call, arguments, results| {
            let fd = arguments.get(descriptor).and_then(Val::i32).unwrap_or(-1).cast_unsigned();
            let code = match code {
                NOTSOCK if fd < FIRST => NOTSOCK,
                BADF if fd < FIRST => SPIPE,
                code => known(call.data_mut(), fd, code),
            };
            results.fill(Val::I32(code));
            Ok(())
        })?;
    }
    Ok(())
}
