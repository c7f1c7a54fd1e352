//! Requests to other hosts, in a host built without an HTTP client. The
//! functions exist because guests import them whether they call them or not.

use wasmtime::{FuncType, Linker, Result, ValType};

use crate::guest::state::{Call, State};
use crate::guest::{MODULE, Misuse};

pub(crate) fn add_to(linker: &mut Linker<State>) -> Result<()> {
    let functions = [("fetch_start", 6), ("fetch_write", 3), ("fetch_head", 3), ("fetch_read", 3)];
    for (name, parameters) in functions {
        let parameters = std::iter::repeat_n(ValType::I32, parameters);
        let signature = FuncType::new(linker.engine(), parameters, [ValType::I32]);
        linker.func_new(MODULE, name, signature, |_, _, _| {
            let text = "the host has no HTTP client: build it with the feature `server`";
            Err(Misuse(text.into()).into())
        })?;
    }
    linker.func_wrap(MODULE, "fetch_drop", |_: Call<'_>, _fetch: u32| {})?;
    Ok(())
}
