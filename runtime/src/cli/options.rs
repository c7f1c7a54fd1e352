//! The options of the commands that serve functions. Flags and variables take
//! precedence over the file, and the file over the defaults.

use std::fmt::Debug;

use super::access::Access;
use super::access_log::AccessLogOptions;
use super::code::CodeOptions;
use super::config::Config;
use super::otlp::OtlpOptions;
use super::settings::{
    ClientSettings, FunctionOptions, JobsSettings, ServerSettings, UsageSettings,
};
use super::unshown::Unshown;
use crate::http::AdminToken;
use crate::otlp::Exporter;
use crate::runtime::Runtime;
use crate::schema::{Partial, Schema, Setting};

/// How functions are served.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct ServeOptions {
    #[command(flatten)]
    server: Partial<ServerSettings>,
    /// The token that operators must present, required if other machines can
    /// reach that address. Prefer the variable: other users can see flags
    #[arg(long, value_name = "TOKEN", env = "HOURGLASS_ADMIN_TOKEN", hide_env_values = true, value_parser = Unshown::<AdminToken>::default())]
    admin_token: Option<AdminToken>,
    #[command(flatten)]
    clients: Partial<ClientSettings>,
    #[command(flatten)]
    pub(crate) access_log: AccessLogOptions,
    #[command(flatten)]
    pub(crate) otlp: OtlpOptions,
    #[command(flatten)]
    usage: Partial<UsageSettings>,
    #[command(flatten)]
    jobs: Partial<JobsSettings>,
    #[command(flatten)]
    code: CodeOptions,
    #[command(flatten)]
    pub(crate) functions: FunctionOptions,
}

impl ServeOptions {
    pub(crate) fn server(&self, config: &Config) -> ServerSettings {
        self.server.over(&config.server)
    }

    pub(crate) fn clients(&self, config: &Config) -> ClientSettings {
        self.clients.over(&config.clients)
    }

    pub(crate) fn jobs(&self, config: &Config) -> JobsSettings {
        self.jobs.over(&config.jobs)
    }

    /// The admin listener's settings, if it is enabled.
    pub(crate) fn admin(&self, config: &Config) -> anyhow::Result<Option<Access>> {
        let Some(address) = self.server(config).admin else { return Ok(None) };
        let token = match &self.admin_token {
            Some(token) => Some(token.clone()),
            None => config.admin_token()?,
        };
        Ok(Some(Access { address, token }))
    }

    /// A line for each difference between two configurations that `Live` does
    /// not see by itself.
    pub(crate) fn changes(&self, old: &Config, new: &Config) -> Vec<String> {
        let mut keys = differing(&self.server(old), &self.server(new));
        keys.extend(differing(&self.clients(old), &self.clients(new)));
        keys.extend(differing(&self.usage.over(&old.usage), &self.usage.over(&new.usage)));
        keys.extend(differing(&self.code.compiler(old), &self.code.compiler(new)));
        keys.extend(differing(&self.jobs(old), &self.jobs(new)));
        keys.extend((old.principal_header != new.principal_header).then_some("principal_header"));
        let restarts = keys.iter().map(|key| format!("`{key}` takes effect after a restart"));
        let is_rerouted = |name: &&String| old.routes.paths(name) != new.routes.paths(name);
        let rerouted = new.functions.keys().filter(is_rerouted);
        rerouted.map(|name| format!("changed the routes of {name}")).chain(restarts).collect()
    }

    pub(crate) fn runtime(
        &self,
        config: &Config,
        exporter: Option<&Exporter>,
    ) -> anyhow::Result<Runtime> {
        let server = self.server(config);
        let mut builder = Runtime::builder()
            .idle_memory(server.idle_memory)
            .retained_versions(server.retained_versions as usize)
            .max_depth(server.max_depth)
            .call_share(server.call_share);
        if let Some(most) = server.max_in_flight {
            builder = builder.max_in_flight(most as usize);
        }
        if let Some(exporter) = exporter {
            builder = builder.exporter(exporter);
        }
        let UsageSettings { usage, usage_size, usage_age } = self.usage.over(&config.usage);
        if let Some(dir) = usage {
            builder = builder.usage_dir(dir).usage_size(usage_size).usage_age(usage_age);
        }
        self.code.build(builder, config)
    }
}

/// The names of the settings that differ.
fn differing<S: Schema + Debug>(one: &S, other: &S) -> Vec<&'static str> {
    let differs = |setting: &&Setting<S>| {
        let alone = |from: &S| {
            let mut alone = S::default();
            (setting.copy)(from, &mut alone);
            format!("{alone:?}")
        };
        alone(one) != alone(other)
    };
    S::SETTINGS.iter().filter(differs).map(|setting| setting.name).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::{CommandFactory, FromArgMatches, Parser};

    use super::*;
    use crate::function::Function;
    use crate::limits::Limits;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        serve: ServeOptions,
    }

    /// The options of a command line, without the variables of the environment.
    fn typed(flags: &[&str]) -> ServeOptions {
        let command = Line::command().mut_args(|arg| arg.env(None::<&str>));
        let matches = command.get_matches_from([&["hourglass"], flags].concat());
        Line::from_arg_matches(&matches).expect("good flags").serve
    }

    fn config(text: &str) -> Config {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("hourglass.toml");
        std::fs::write(&path, text).expect("it is written");
        Config::load(&path).expect("a good file")
    }

    #[test]
    fn flags_precede_the_file_and_the_file_precedes_the_defaults() {
        let file = config("listen = \"file:1\"\ndrain = \"1s\"\n");
        let (none, flags) = (typed(&[]), typed(&["--listen", "flag:1", "--drain", "2s"]));
        let shown = |options: &ServeOptions, config: &Config| {
            let server = options.server(config);
            (server.listen, server.drain.as_secs())
        };
        assert_eq!(shown(&flags, &file), ("flag:1".to_owned(), 2));
        assert_eq!(shown(&none, &file), ("file:1".to_owned(), 1));
        assert_eq!(shown(&none, &Config::default()), ("127.0.0.1:8080".to_owned(), 10));
    }

    #[test]
    fn limits_are_merged_one_by_one() {
        let flags = typed(&["--timeout", "5s", "--memory", "1MiB"]).functions;
        let file = config("[function.f]\ntimeout = \"1s\"\ngrace = \"0s\"\n");
        let limits = flags.limits.over(&file.functions["f"].options.limits);
        assert_eq!(limits.timeout, Duration::from_secs(5));
        assert_eq!(limits.grace, Duration::ZERO);
        assert_eq!(limits.memory, 1 << 20);
        assert_eq!(limits.request_body, Limits::default().request_body);
        assert_eq!(limits.response_body, u64::MAX);
    }

    #[test]
    fn the_instances_of_a_function_are_merged_too() {
        let file = config("[function.f]\ninstances = \"new\"\n");
        let file = &file.functions["f"].options;
        let none = FunctionOptions::default();
        let instances = |flags: &[&str], file| {
            let function = Function::from_bytes("f", []).expect("a good name");
            format!("{:?}", typed(flags).functions.apply(file, function))
        };
        assert!(instances(&[], &none).contains("instances: Reset"));
        assert!(instances(&[], file).contains("instances: New"));
        assert!(instances(&["--instances", "reset"], file).contains("instances: Reset"));
    }

    #[test]
    fn a_variable_is_read_for_every_flag_with_a_value() {
        let variables: Vec<_> = Line::command()
            .get_arguments()
            .filter(|arg| arg.get_action().takes_values())
            .map(|arg| (arg.get_long().map(str::to_owned), arg.get_env().map(ToOwned::to_owned)))
            .collect();
        assert_eq!(variables.len(), 60, "{variables:?}");
        for (flag, variable) in variables {
            let flag = flag.expect("a long flag").to_uppercase().replace('-', "_");
            assert_eq!(variable, Some(format!("HOURGLASS_{flag}").into()));
        }
    }

    #[test]
    fn the_help_of_a_flag_names_its_default() {
        let command = Line::command();
        for (name, default) in [
            ("listen", "127.0.0.1:8080"),
            ("drain_delay", "0s"),
            ("drain", "10s"),
            ("max_in_flight", "1000, or what the machine allows"),
            ("max_depth", "16"),
            ("call_share", "0.5"),
            ("idle_memory", "256MiB"),
            ("retained_versions", "2"),
            ("admin", "none"),
            ("head_timeout", "30s"),
            ("body_idle", "30s"),
            ("body_rate", "0"),
            ("response_memory", "512MiB"),
            ("header_bytes", "64KiB"),
            ("header_count", "100"),
            ("access_log", "stderr"),
            ("access_log_sample", "1"),
            ("otlp", "none"),
            ("otlp_protocol", "grpc"),
            ("otlp_sample", "1"),
            ("otlp_slow", "1s"),
            ("otlp_logs", "true"),
            ("usage", "none"),
            ("usage_size", "1GiB"),
            ("usage_age", "720h"),
            ("jobs", "none"),
            ("jobs_count", "1000000"),
            ("jobs_size", "1GiB"),
            ("jobs_in_flight", "half of `max_in_flight`"),
            ("job_retries", "4"),
            ("job_backoff", "1s"),
            ("job_backoff_max", "5m"),
            ("job_attempt_timeout", "`timeout`"),
            ("job_deadline", "24h"),
            ("job_keep", "24h"),
            ("job_keep_failed", "336h"),
            ("job_response", "10MiB"),
            ("cache_size", "1GiB"),
            ("compile_timeout", "1m"),
            ("compile_memory", "2GiB"),
            ("max_functions", "100000"),
            ("timeout", "10s"),
            ("grace", "100ms"),
            ("memory", "128MiB"),
            ("request_body", "10MiB"),
            ("response_body", "no limit"),
            ("max_calls", "1000"),
            ("max_fetches", "1000"),
            ("fetches_at_once", "64"),
            ("fetch_body", "10MiB"),
            ("detach", "0s"),
            ("instances", "reset"),
        ] {
            let arg = command.get_arguments().find(|arg| arg.get_id() == name);
            let help = arg.and_then(|arg| arg.get_help()).expect("a flag with help").to_string();
            assert!(help.ends_with(&format!(" [default: {default}]")), "{name}: {help}");
        }
    }
}
