//! The flags about clients: how connections are encrypted, and how long a client
//! may take for what.

use std::path::{Path, PathBuf};

use anyhow::bail;

use super::config::heads::{HeaderBytes, HeaderCount};
use super::config::units::{self, Period, Size};
use crate::http::{Admin, Server, Tls};

/// How clients are served. The file has the same settings under the same names.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct FrontOptions {
    /// The server's certificate, as a PEM file with those that follow up to one
    /// that clients know; they then reach it by https:// alone. It is read again
    /// when it has changed [default: none]
    #[arg(long, value_name = "FILE", env = "HOURGLASS_TLS_CERT")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The private key of that certificate, as a PEM file without a password
    #[arg(long, value_name = "FILE", env = "HOURGLASS_TLS_KEY")]
    pub(crate) tls_key: Option<PathBuf>,
    /// How long a client may take for a request's head, and a connection idle
    /// [default: 30s]
    #[arg(long, value_name = "TIME", env = "HOURGLASS_HEAD_TIMEOUT", value_parser = units::timeout)]
    pub(crate) head_timeout: Option<Period>,
    /// How long a client may pause in a body that it sends or takes
    /// [default: 30s]
    #[arg(long, value_name = "TIME", env = "HOURGLASS_BODY_IDLE", value_parser = units::timeout)]
    pub(crate) body_idle: Option<Period>,
    /// How many bytes a second of bodies it has to send and take on the whole;
    /// 0 for none [default: 0]
    #[arg(long, value_name = "SIZE", env = "HOURGLASS_BODY_RATE")]
    pub(crate) body_rate: Option<Size>,
    /// How much memory whole responses may hold until their clients have taken
    /// them; one more is answered with 503 [default: 512MiB]
    #[arg(long, value_name = "SIZE", env = "HOURGLASS_RESPONSE_MEMORY", value_parser = units::bound)]
    pub(crate) response_memory: Option<Size>,
    /// How long a request's head may be, also for operators; a longer one is
    /// answered with 431 [default: 64KiB]
    #[arg(long, value_name = "SIZE", env = "HOURGLASS_HEADER_BYTES")]
    pub(crate) header_bytes: Option<HeaderBytes>,
    /// How many header fields a request may have, also for operators; one with
    /// more is answered with 431 [default: 100]
    #[arg(long, value_name = "N", env = "HOURGLASS_HEADER_COUNT")]
    pub(crate) header_count: Option<HeaderCount>,
}

impl FrontOptions {
    /// How connections are encrypted, if at all. These options come before those
    /// of the file.
    pub(crate) fn tls(&self, file: &Self) -> anyhow::Result<Option<Tls>> {
        let certificate = self.tls_cert.as_ref().or(file.tls_cert.as_ref());
        let key = self.tls_key.as_ref().or(file.tls_key.as_ref());
        match (certificate, key) {
            (Some(certificate), Some(key)) => Ok(Some(Tls::from_files(certificate, key)?)),
            (None, None) => Ok(None),
            (Some(_), None) => bail!(
                "a certificate needs its private key; name it with `--tls-key FILE`, \
                 HOURGLASS_TLS_KEY, or `tls_key` in hourglass.toml"
            ),
            (None, Some(_)) => bail!(
                "a private key needs its certificate; name it with `--tls-cert FILE`, \
                 HOURGLASS_TLS_CERT, or `tls_cert` in hourglass.toml"
            ),
        }
    }

    /// Sets the rest of what these say of a server, and where they are open what
    /// the file says.
    pub(crate) fn apply(&self, file: &Self, mut server: Server) -> Server {
        if let Some(Period(timeout)) = self.head_timeout.or(file.head_timeout) {
            server = server.head_timeout(timeout);
        }
        if let Some(Period(idle)) = self.body_idle.or(file.body_idle) {
            server = server.body_idle(idle);
        }
        if let Some(Size(rate)) = self.body_rate.or(file.body_rate) {
            server = server.body_rate(rate);
        }
        if let Some(Size(most)) = self.response_memory.or(file.response_memory) {
            server = server.response_memory(most);
        }
        if let Some(HeaderBytes(bytes)) = self.header_bytes.or(file.header_bytes) {
            server = server.header_bytes(bytes);
        }
        if let Some(HeaderCount(count)) = self.header_count.or(file.header_count) {
            server = server.header_count(count);
        }
        server
    }

    /// Sets what these, or else the file, say of the listener for operators.
    pub(crate) fn apply_to_admin(&self, file: &Self, mut admin: Admin) -> Admin {
        if let Some(HeaderBytes(bytes)) = self.header_bytes.or(file.header_bytes) {
            admin = admin.header_bytes(bytes);
        }
        if let Some(HeaderCount(count)) = self.header_count.or(file.header_count) {
            admin = admin.header_count(count);
        }
        admin
    }

    /// The same, where files are relative to a folder.
    pub(crate) fn beside(mut self, folder: &Path) -> Self {
        for file in [&mut self.tls_cert, &mut self.tls_key].into_iter().flatten() {
            *file = folder.join(&*file);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(certificate: Option<&str>, key: Option<&str>) -> FrontOptions {
        let file = |name: Option<&str>| name.map(PathBuf::from);
        FrontOptions { tls_cert: file(certificate), tls_key: file(key), ..FrontOptions::default() }
    }

    fn said(flags: &FrontOptions, file: &FrontOptions) -> String {
        flags.tls(file).expect_err("there are no such files").to_string()
    }

    #[test]
    fn a_certificate_and_its_key_come_together() {
        let none = FrontOptions::default();
        assert!(none.tls(&none).expect("neither is fine").is_none());
        for (certificate, key, missing) in
            [(Some("c"), None, "`tls_key`"), (None, Some("k"), "`tls_cert`")]
        {
            let half = options(certificate, key);
            assert!(said(&half, &none).contains(missing), "{}", said(&half, &none));
            assert!(said(&none, &half).contains(missing), "{}", said(&none, &half));
        }
    }

    #[test]
    fn flags_come_before_the_file_which_names_files_beside_itself() {
        let file = options(Some("c"), Some("k")).beside(Path::new("/no/such"));
        assert!(said(&FrontOptions::default(), &file).starts_with("/no/such/c can't be read"));
        let flags = options(Some("/none/c"), None);
        assert!(said(&flags, &file).starts_with("/none/c can't be read"));
    }
}
