//! Computes the SHA-256 of a body of any size. It holds one piece of the body at a time.
//!
//! ```text
//! $ curl --data-binary @disk.img http://127.0.0.1:8080/upload-digest
//! 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08  4 bytes
//! ```
//!
//! The host, which computes the hash, accepts bodies of up to 10 MiB by default. To raise the
//! limit, set `request_body = "2GiB"`.

use std::fmt::Write;
use std::io::{Read, Result as IoResult};

use hourglass_sdk::sha2::{Digest, Sha256};
use hourglass_sdk::{Body, Context, Request, Result, serve};

fn main() {
    serve(upload_digest)
}

fn upload_digest(_: &Context, req: Request) -> Result<String> {
    let (digest, bytes) = digest(req.into_body())?;
    Ok(format!("{digest}  {bytes} bytes\n"))
}

fn digest(mut body: Body) -> IoResult<(String, u64)> {
    let (mut hasher, mut bytes) = (Sha256::new(), 0);
    let mut room = vec![0; 64 << 10];
    while let read @ 1.. = body.read(&mut room)? {
        hasher.update(&room[..read]);
        bytes += read as u64;
    }
    let mut text = String::with_capacity(64);
    for byte in hasher.finalize() {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok((text, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_digest_and_the_length() -> Result<()> {
        for (body, expected) in [
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  0 bytes\n"),
            ("test", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08  4 bytes\n"),
        ] {
            let answer = upload_digest(&Context::background(), Request::new(body.into()))?;
            assert_eq!(answer, expected);
        }
        Ok(())
    }
}
