//! The flags that several commands share, and how they come together with the
//! environment, the file and the defaults: the first of them that says
//! something counts.
//!
//! clap puts a flag before its variable; here both come before the file.

use std::time::Duration;

use super::access::Access;
use super::code::CodeOptions;
use super::config::resolve::Config;
use super::config::units::{self, Address, Period, Share, Size};
use super::front::FrontOptions;
use super::unshown::Unshown;
use crate::function::{Function, Instances};
use crate::http::Token;
use crate::limits::Limits;
use crate::runtime::Runtime;

/// Where a server listens unless told otherwise.
const LISTEN: &str = "127.0.0.1:8080";

/// How long a server drains unless told otherwise.
const DRAIN: Duration = Duration::from_secs(10);

/// What holds for every function of the command.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "For every function (over what hourglass.toml says)")]
pub(crate) struct FunctionOptions {
    /// How long an invocation has before its context is done [default: 10s]
    #[arg(long, value_name = "TIME", env = "HOURGLASS_TIMEOUT", value_parser = units::timeout)]
    pub(crate) timeout: Option<Period>,
    /// How long it may then go on before it is interrupted [default: 100ms]
    #[arg(long, value_name = "TIME", env = "HOURGLASS_GRACE")]
    pub(crate) grace: Option<Period>,
    /// How much linear memory it may have [default: 128MiB]
    #[arg(long, value_name = "SIZE", env = "HOURGLASS_MEMORY", value_parser = units::memory)]
    pub(crate) memory: Option<Size>,
    /// How long its request's body may be [default: 10MiB]
    #[arg(long, value_name = "SIZE", env = "HOURGLASS_REQUEST_BODY")]
    pub(crate) request_body: Option<Size>,
    /// How long its response's body may be [default: no limit]
    #[arg(long, value_name = "SIZE", env = "HOURGLASS_RESPONSE_BODY", value_parser = units::bound)]
    pub(crate) response_body: Option<Size>,
    /// How many calls of other functions it may make [default: 1000]
    #[arg(long, value_name = "N", env = "HOURGLASS_MAX_CALLS")]
    pub(crate) max_calls: Option<u32>,
    /// How many requests to other hosts it may make [default: 1000]
    #[arg(long, value_name = "N", env = "HOURGLASS_MAX_FETCHES")]
    pub(crate) max_fetches: Option<u32>,
    /// How many of them may be under way at once [default: 64]
    #[arg(long, value_name = "N", env = "HOURGLASS_FETCHES_AT_ONCE", value_parser = units::count)]
    pub(crate) fetches_at_once: Option<u32>,
    /// How long another host's response may be [default: 10MiB]
    #[arg(long, value_name = "SIZE", env = "HOURGLASS_FETCH_BODY", value_parser = units::bound)]
    pub(crate) fetch_body: Option<Size>,
    /// How long it may go on without its client, and what it left behind
    /// without it [default: 0s]
    #[arg(long, value_name = "TIME", env = "HOURGLASS_DETACH")]
    pub(crate) detach: Option<Period>,
    /// Where its fresh instances come from: they are reset in place where that
    /// is proven to be safe, or made anew [default: reset]
    #[arg(
        long,
        value_name = "reset|new",
        env = "HOURGLASS_INSTANCES",
        hide_possible_values = true
    )]
    pub(crate) instances: Option<Origin>,
}

/// [`Instances`], as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Origin {
    Reset,
    New,
}

impl From<Origin> for Instances {
    fn from(origin: Origin) -> Self {
        match origin {
            Origin::Reset => Self::Reset,
            Origin::New => Self::New,
        }
    }
}

impl FunctionOptions {
    /// Sets what these say of a function, and where they are open what the
    /// file says.
    pub(crate) fn apply(self, file: Self, function: Function) -> Function {
        let instances = self.instances.or(file.instances).map(Instances::from);
        function.limits(self.over(file)).instances(instances.unwrap_or_default())
    }

    /// These limits, where they are open those of the file, and where both are
    /// open the defaults.
    fn over(self, file: Self) -> Limits {
        let default = Limits::default();
        let time = |flag: Option<Period>, file: Option<Period>, default| {
            flag.or(file).map_or(default, |period| period.0)
        };
        let size = |flag: Option<Size>, file: Option<Size>, default| {
            flag.or(file).map_or(default, |size| size.0)
        };
        Limits {
            timeout: time(self.timeout, file.timeout, default.timeout),
            grace: time(self.grace, file.grace, default.grace),
            memory: size(self.memory, file.memory, default.memory),
            request_body: size(self.request_body, file.request_body, default.request_body),
            response_body: size(self.response_body, file.response_body, default.response_body),
            max_calls: self.max_calls.or(file.max_calls).unwrap_or(default.max_calls),
            max_fetches: self.max_fetches.or(file.max_fetches).unwrap_or(default.max_fetches),
            fetches_at_once: self
                .fetches_at_once
                .or(file.fetches_at_once)
                .unwrap_or(default.fetches_at_once),
            fetch_body: size(self.fetch_body, file.fetch_body, default.fetch_body),
            detach: time(self.detach, file.detach, default.detach),
        }
    }
}

/// How functions are served.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct ServeOptions {
    /// The address to listen on; port 0 stands for any free one
    /// [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR", env = "HOURGLASS_LISTEN")]
    listen: Option<Address>,
    /// How long invocations may go on once the server is told to stop
    /// [default: 10s]
    #[arg(long, value_name = "TIME", env = "HOURGLASS_DRAIN")]
    drain: Option<Period>,
    /// How many invocations may run at once; one more is answered with 503
    /// [default: 1000, or what the machine allows]
    #[arg(long, value_name = "N", env = "HOURGLASS_MAX_IN_FLIGHT", value_parser = units::count)]
    max_in_flight: Option<u32>,
    /// How many callers a function may have, one above the other
    /// [default: 16]
    #[arg(long, value_name = "N", env = "HOURGLASS_MAX_DEPTH")]
    max_depth: Option<u32>,
    /// Which share of the free capacity the calls of one request may take;
    /// those beyond it wait [default: 0.5]
    #[arg(long, value_name = "SHARE", env = "HOURGLASS_CALL_SHARE")]
    call_share: Option<Share>,
    /// How much memory may be held in instances that wait for their next
    /// invocation; with 0 none is kept [default: 256MiB]
    #[arg(long, value_name = "SIZE", env = "HOURGLASS_IDLE_MEMORY")]
    idle_memory: Option<Size>,
    /// An address to listen on for operators, who list and cancel what is in
    /// flight with `hourglass ps` and `hourglass cancel` [default: none]
    #[arg(long, value_name = "ADDR", env = "HOURGLASS_ADMIN")]
    admin: Option<Address>,
    /// What operators have to show; needed where other machines may reach that
    /// address. Others can see what is typed here: rather set the variable
    #[arg(long, value_name = "TOKEN", env = "HOURGLASS_ADMIN_TOKEN", hide_env_values = true, value_parser = Unshown::<Token>::default())]
    admin_token: Option<Token>,
    #[command(flatten)]
    pub(crate) front: FrontOptions,
    #[command(flatten)]
    code: CodeOptions,
    #[command(flatten)]
    pub(crate) functions: FunctionOptions,
}

impl ServeOptions {
    pub(crate) fn listen(&self, config: &Config) -> Address {
        let given = self.listen.as_ref().or(config.listen.as_ref());
        given.cloned().unwrap_or_else(|| Address(LISTEN.to_owned()))
    }

    pub(crate) fn drain(&self, config: &Config) -> Duration {
        self.drain.map(|drain| drain.0).or(config.drain).unwrap_or(DRAIN)
    }

    /// Where to listen for operators, if at all.
    pub(crate) fn admin(&self, config: &Config) -> anyhow::Result<Option<Access>> {
        let Some(address) = self.admin.as_ref().or(config.admin.as_ref()) else { return Ok(None) };
        let token = match &self.admin_token {
            Some(token) => Some(token.clone()),
            None => config.admin_token()?,
        };
        Ok(Some(Access { address: address.clone(), token }))
    }

    pub(crate) fn runtime(&self, config: &Config) -> anyhow::Result<Runtime> {
        let mut builder = Runtime::builder();
        if let Some(most) = self.max_in_flight.map(|most| most as usize).or(config.max_in_flight) {
            builder = builder.max_in_flight(most);
        }
        if let Some(Size(most)) = self.idle_memory.or(config.idle_memory) {
            builder = builder.idle_memory(most);
        }
        if let Some(most) = self.max_depth.or(config.max_depth) {
            builder = builder.max_depth(most);
        }
        if let Some(Share(share)) = self.call_share.or(config.call_share) {
            builder = builder.call_share(share);
        }
        self.code.build(builder, config)
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, FromArgMatches, Parser};

    use super::*;
    use crate::http::PATIENCE;
    use crate::http::header_limits::DEFAULT as HEADERS;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        serve: ServeOptions,
    }

    /// What a command line without variables in the environment says.
    fn typed(flags: &[&str]) -> ServeOptions {
        let command = Line::command().mut_args(|arg| arg.env(None::<&str>));
        let matches = command.get_matches_from([&["hourglass"], flags].concat());
        Line::from_arg_matches(&matches).expect("good flags").serve
    }

    fn config() -> Config {
        let mut config = Config::default();
        config.listen = Some(Address("file:1".to_owned()));
        config.drain = Some(Duration::from_secs(1));
        config
    }

    #[test]
    fn flags_come_before_the_file_and_that_before_the_defaults() {
        let (none, flags) = (typed(&[]), typed(&["--listen", "flag:1", "--drain", "2s"]));
        assert_eq!(flags.listen(&config()).0, "flag:1");
        assert_eq!(none.listen(&config()).0, "file:1");
        assert_eq!(none.listen(&Config::default()).0, LISTEN);
        assert_eq!(flags.drain(&config()), Duration::from_secs(2));
        assert_eq!(none.drain(&config()), Duration::from_secs(1));
        assert_eq!(none.drain(&Config::default()), DRAIN);
    }

    #[test]
    fn limits_are_merged_one_by_one() {
        let flags = typed(&["--timeout", "5s", "--memory", "1MiB"]).functions;
        let file = FunctionOptions {
            timeout: Some(Period(Duration::from_secs(1))),
            grace: Some(Period(Duration::ZERO)),
            ..FunctionOptions::default()
        };
        let limits = flags.over(file);
        assert_eq!(limits.timeout, Duration::from_secs(5));
        assert_eq!(limits.grace, Duration::ZERO);
        assert_eq!(limits.memory, 1 << 20);
        assert_eq!(limits.request_body, Limits::default().request_body);
        assert_eq!(limits.response_body, u64::MAX);
    }

    #[test]
    fn where_instances_come_from_is_merged_too() {
        let origin = |flags: &[&str], file| {
            let file = FunctionOptions { instances: file, ..FunctionOptions::default() };
            let function = Function::from_bytes("f", []).expect("a good name");
            format!("{:?}", typed(flags).functions.apply(file, function))
        };
        assert!(origin(&[], None).contains("instances: Reset"));
        assert!(origin(&[], Some(Origin::New)).contains("instances: New"));
        let flags = ["--instances", "reset"];
        assert!(origin(&flags, Some(Origin::New)).contains("instances: Reset"));
    }

    #[test]
    fn a_variable_is_read_for_every_setting() {
        let variables: Vec<_> = Line::command()
            .get_arguments()
            .filter_map(|arg| Some((arg.get_long()?.to_owned(), arg.get_env()?.to_owned())))
            .collect();
        assert_eq!(variables.len(), 33, "{variables:?}");
        for (flag, variable) in variables {
            let expected = format!("HOURGLASS_{}", flag.to_uppercase().replace('-', "_"));
            assert_eq!(variable.to_str(), Some(&*expected));
        }
    }

    #[test]
    fn the_help_names_the_real_defaults() {
        let limits = Limits::default();
        let command = Line::command();
        let defaults = [
            ("listen", LISTEN.to_owned()),
            ("drain", Period(DRAIN).to_string()),
            ("head_timeout", Period(PATIENCE).to_string()),
            ("body_idle", Period(PATIENCE).to_string()),
            ("header_bytes", Size(HEADERS.bytes as u64).to_string()),
            ("header_count", HEADERS.count.to_string()),
            ("timeout", Period(limits.timeout).to_string()),
            ("grace", Period(limits.grace).to_string()),
            ("memory", Size(limits.memory).to_string()),
            ("request_body", Size(limits.request_body).to_string()),
            ("max_calls", limits.max_calls.to_string()),
            ("max_fetches", limits.max_fetches.to_string()),
            ("fetches_at_once", limits.fetches_at_once.to_string()),
            ("fetch_body", Size(limits.fetch_body).to_string()),
            ("detach", Period(limits.detach).to_string()),
            ("cache_size", Size(1 << 30).to_string()),
            ("compile_timeout", Period(Duration::from_secs(60)).to_string()),
            ("compile_memory", Size(2 << 30).to_string()),
            ("max_functions", 100_000.to_string()),
        ];
        for (name, default) in defaults {
            let arg = command.get_arguments().find(|arg| arg.get_id() == name);
            let help = arg.and_then(|arg| arg.get_help()).expect("a flag with help").to_string();
            assert!(help.contains(&format!("[default: {default}]")), "{name}: {help}");
        }
    }
}
