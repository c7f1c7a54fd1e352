//! A response with an unread body.

#[cfg(target_arch = "wasm32")]
pub(crate) use self::host::Fetched;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use self::native::Fetched;

/// Inside a host.
#[cfg(target_arch = "wasm32")]
mod host {
    use bytes::Bytes;

    use crate::fetch::error::FetchError;
    use crate::{Context, Response, abi, wire};

    /// The most that is allocated because another host announced it, in bytes.
    const ANNOUNCED: u64 = 16 << 20;
    /// The number of bytes that are read at once.
    const PIECE: usize = 64 << 10;

    /// A fetch that the host knows by this handle. Dropping it ends the fetch.
    #[derive(Debug)]
    pub(crate) struct Fetched {
        pub(in crate::fetch) handle: i32,
        /// The context that the response arrives under. It must not be canceled before the body is
        /// read.
        _ctx: Context,
        url: Box<str>,
    }

    impl Fetched {
        pub(in crate::fetch) fn new(handle: i32, ctx: &Context, url: &str) -> Self {
            Self { handle, _ctx: ctx.clone(), url: url.into() }
        }

        /// Returns the response's head, with the length of its body if known.
        pub(in crate::fetch) fn head(&self) -> Result<(Response<()>, Option<u64>), FetchError> {
            let url = &*self.url;
            match wire::fetched(abi::fetch::head(self.handle)) {
                Ok(Ok(head)) => Ok(head),
                Ok(Err(failure)) => {
                    Err(FetchError::named(url, failure.outcome, &failure.text, &failure.cause))
                }
                Err(malformed) => Err(FetchError::BadResponse(format!("{url}: {malformed}"))),
            }
        }

        /// Reads the next piece of the response's body into a range that is not empty.
        pub(crate) fn read(&self, room: &mut [u8]) -> Result<usize, FetchError> {
            abi::fetch::read(self.handle, room).map_err(|_| self.failure())
        }

        /// Reads the whole body of the response. The length is `None` if it is unknown.
        pub(crate) fn collect(self, length: Option<u64>) -> Result<Bytes, FetchError> {
            let announced = length.map_or(0, |length| length.min(ANNOUNCED) as usize);
            let mut whole = Vec::with_capacity(announced);
            let mut room = vec![0; PIECE];
            loop {
                match self.read(&mut room)? {
                    0 => return Ok(whole.into()),
                    read => whole.extend_from_slice(room.get(..read).unwrap_or_default()),
                }
            }
        }

        /// Returns the reason why the response's body broke off.
        fn failure(&self) -> FetchError {
            let failure = self.head().err();
            failure.unwrap_or_else(|| {
                FetchError::BadResponse(format!("{}: the response's body broke off", self.url))
            })
        }

        /// Writes a piece of the request's body. An error is the host's code.
        pub(crate) fn write(&self, piece: &[u8]) -> Result<usize, i32> {
            abi::fetch::write(self.handle, piece)
        }
    }

    impl Drop for Fetched {
        fn drop(&mut self) {
            abi::fetch::give_up(self.handle);
        }
    }
}

/// Outside a host.
#[cfg(not(target_arch = "wasm32"))]
mod native {
    use bytes::Bytes;

    use crate::fetch::error::FetchError;

    /// Reads the whole body.
    type Collect = Box<dyn FnOnce() -> Result<Bytes, FetchError> + Send>;

    /// A response's body. As inside a host, it arrives after the head and under the context of the
    /// fetch. When that context is done, the body breaks off.
    pub(crate) struct Fetched(Collect);

    impl Fetched {
        pub(in crate::fetch) fn new(
            collect: impl FnOnce() -> Result<Bytes, FetchError> + Send + 'static,
        ) -> Self {
            Self(Box::new(collect))
        }

        /// Reads the whole body of the response.
        pub(crate) fn collect(self, _: Option<u64>) -> Result<Bytes, FetchError> {
            (self.0)()
        }
    }
}
