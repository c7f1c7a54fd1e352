//! Applies the settings about clients to the server and to the listener for
//! operators.

use anyhow::bail;

use super::settings::ClientSettings;
use crate::http::{Admin, Server, Tls};

impl ClientSettings {
    /// The certificate and its key, if there are any.
    pub(crate) fn tls(&self) -> anyhow::Result<Option<Tls>> {
        match (&self.tls_cert, &self.tls_key) {
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

    /// Sets everything but [`tls`](Self::tls).
    pub(crate) fn apply(&self, server: Server) -> Server {
        server
            .head_timeout(self.head_timeout)
            .body_idle(self.body_idle)
            .body_rate(self.body_rate)
            .response_memory(self.response_memory)
            .header_bytes(bytes(self.header_bytes))
            .header_count(self.header_count as usize)
    }

    /// Sets the limits of request heads.
    pub(crate) fn apply_to_admin(&self, admin: Admin) -> Admin {
        admin.header_bytes(bytes(self.header_bytes)).header_count(self.header_count as usize)
    }
}

fn bytes(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::cli::config::Config;
    use crate::cli::options::ServeOptions;

    #[test]
    fn a_certificate_and_its_key_come_together() {
        assert!(ClientSettings::default().tls().expect("neither is given").is_none());
        let file = |name: Option<&str>| name.map(PathBuf::from);
        for (certificate, key, missing) in
            [(Some("c"), None, "`tls_key`"), (None, Some("k"), "`tls_cert`")]
        {
            let half = ClientSettings {
                tls_cert: file(certificate),
                tls_key: file(key),
                ..ClientSettings::default()
            };
            let error = half.tls().expect_err("one is missing").to_string();
            assert!(error.contains(missing), "{error}");
        }
    }

    #[test]
    fn the_files_that_hourglass_toml_names_are_relative_to_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("hourglass.toml");
        std::fs::write(&path, "tls_cert = \"c\"\ntls_key = \"/keys/k\"\n").expect("written");
        let clients = ServeOptions::default().clients(&Config::load(&path).expect("a good file"));
        assert_eq!(clients.tls_cert, Some(folder.path().join("c")));
        assert_eq!(clients.tls_key.as_deref(), Some(Path::new("/keys/k")));
        let error = clients.tls().expect_err("there are no such files").to_string();
        assert!(error.contains("/c can't be read"), "{error}");
    }
}
