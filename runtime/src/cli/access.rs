//! The address and the token of the admin listener.

use std::net::ToSocketAddrs as _;
use std::path::Path;

use anyhow::{Context as _, bail};

use super::config::Config;
use super::unshown::Unshown;
use crate::http::AdminToken;
use crate::http::admin::client::Client;
use crate::schema::{Address, Unit as _};

/// The default address of a server for operators.
const ADMIN: &str = "127.0.0.1:9090";

/// An address for operators, and the token that they must present.
#[derive(Debug)]
pub(crate) struct Access {
    pub(crate) address: String,
    pub(crate) token: Option<AdminToken>,
}

impl Access {
    /// Fails if other machines could deploy functions and cancel invocations.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let Self { address, token } = self;
        let mut reached = address
            .to_socket_addrs()
            .with_context(|| format!("the address {address} can't be resolved"))?;
        if token.is_none() && !reached.all(|address| address.ip().is_loopback()) {
            bail!(
                "anyone who can reach {address} could deploy functions and cancel invocations; set HOURGLASS_ADMIN_TOKEN, \
                 `--admin-token`, or `admin_token_file` in hourglass.toml, or listen with \
                 `--admin {ADMIN}` for this machine only"
            );
        }
        Ok(())
    }
}

/// The server of an operator command.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct AccessOptions {
    /// The address on which the server listens for operators, its own `--admin`
    /// [default: `admin` in hourglass.toml of this directory, or 127.0.0.1:9090]
    #[arg(long, value_name = "ADDR", env = "HOURGLASS_ADMIN", value_parser = |text: &str| Address.parse(text))]
    admin: Option<String>,
    /// The token that the server requires [default: that in `admin_token_file`
    /// of hourglass.toml, unless the address is given]
    #[arg(long, value_name = "TOKEN", env = "HOURGLASS_ADMIN_TOKEN", hide_env_values = true, value_parser = Unshown::<AdminToken>::default())]
    token: Option<AdminToken>,
}

impl AccessOptions {
    /// A client of the server.
    pub(crate) fn client(&self, folder: &Path) -> anyhow::Result<Client> {
        let (address, token) = match &self.admin {
            // The token of one server must not be sent to another.
            Some(address) => (address.clone(), self.token.clone()),
            None => {
                let config = Config::find(folder)?;
                let token = match &self.token {
                    Some(token) => Some(token.clone()),
                    None => config.admin_token()?,
                };
                (config.server.values().admin.clone().unwrap_or_else(|| ADMIN.to_owned()), token)
            }
        };
        Ok(Client { address, token })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::CommandFactory;

    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn options(admin: Option<&str>, token: Option<&str>) -> AccessOptions {
        AccessOptions {
            admin: admin.map(|text| text.parse().expect("an address")),
            token: token.map(|text| text.parse().expect("a token")),
        }
    }

    #[test]
    fn other_machines_need_a_token() {
        let check = |address: &str, token| {
            let AccessOptions { admin, token } = options(Some(address), token);
            admin.map(|address| Access { address, token }.check())
        };
        for address in ["127.0.0.1:9090", "127.1.2.3:0", "[::1]:9090"] {
            assert!(matches!(check(address, None), Some(Ok(()))), "{address}");
        }
        for address in ["0.0.0.0:9090", "[::]:9090", "192.0.2.1:9090", "[::ffff:192.0.2.1]:9090"] {
            let said = check(address, None).expect("it is checked").expect_err(address).to_string();
            assert!(said.contains(address) && said.contains("HOURGLASS_ADMIN_TOKEN"), "{said}");
            assert!(matches!(check(address, Some(TOKEN)), Some(Ok(()))), "{address}");
        }
    }

    #[test]
    fn the_files_token_is_for_the_files_address() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let client = |admin, token| {
            let client = options(admin, token).client(folder.path()).expect("a good file");
            (client.address, client.token.is_some())
        };
        assert_eq!(client(None, None), (ADMIN.to_owned(), false));
        let text = "admin = \"localhost:1\"\nadmin_token_file = \"token\"\n";
        fs::write(folder.path().join("hourglass.toml"), text).expect("it is written");
        fs::write(folder.path().join("token"), TOKEN).expect("it is written");
        assert_eq!(client(None, None), ("localhost:1".to_owned(), true));
        assert_eq!(client(Some("localhost:2"), None), ("localhost:2".to_owned(), false));
        assert_eq!(client(Some("localhost:2"), Some(TOKEN)), ("localhost:2".to_owned(), true));
        assert_eq!(client(None, Some(TOKEN)), ("localhost:1".to_owned(), true));
    }

    #[test]
    fn the_help_names_the_real_default() {
        #[derive(clap::Parser)]
        struct AccessLine {
            #[command(flatten)]
            _access: AccessOptions,
        }
        let help = AccessLine::command().render_long_help().to_string().replace("\n", " ");
        assert!(help.contains(ADMIN), "{help}");
    }
}
