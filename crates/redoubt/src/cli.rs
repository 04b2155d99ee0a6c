//! The command line: `redoubt-server [file] [-] [--name value ...]`, with the rules of redis-server.
//!
//! Rules: <https://redis.io/docs/latest/operate/oss_and_stack/management/config/#passing-arguments-using-the-command-line>

use redoubt_server::config::{Config, FileError, LoadError, split_words};
use std::path::PathBuf;

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Run the server.
    Run(Sources),
    /// Read the configuration, say whether it is good, and end.
    CheckConfig(Sources),
    /// Show failover on this machine.
    Demo(crate::demo::Options),
    /// Print the version.
    Version,
    /// Print how to use it.
    Help,
}

/// Where the configuration comes from, least important first.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Sources {
    /// A file.
    pub(crate) file: Option<PathBuf>,
    /// Standard input, after the file.
    pub(crate) stdin: bool,
    /// Options: the name of a setting, then its values.
    pub(crate) options: Vec<Vec<String>>,
}

/// How to use it; `{}` stands for the program's name.
const HELP: &str = "\
Usage: {} [/path/to/redis.conf] [options] [-]
       {} - (read config from stdin)
       {} -v or --version
       {} -h or --help
       {} demo [--port <first port>] [--nodes <count>] [options]   three nodes on this machine that fail over
       {} --check-config [/path/to/redis.conf] [options]
       {} --check-rdb <file>
       {} --check-aof [--fix [--yes]|--truncate-to-timestamp <Unix seconds>] <file or manifest>

Options are settings of redis.conf, each with its values.

Examples:
       {} (run the server with default conf)
       echo 'maxmemory 128mb' | {} -
       {} /etc/redoubt/6379.conf
       {} --port 7777
       {} /etc/redoubt.conf --loglevel verbose
";

/// The help text for a program called `program`.
pub(crate) fn help(program: &str) -> String {
    HELP.replace("{}", program)
}

/// Understands the arguments after the program's name. The error is for the operator.
pub(crate) fn parse(args: &[String]) -> Result<Request, String> {
    match args {
        [one] if one == "-v" || one == "--version" => return Ok(Request::Version),
        [one] if one == "-h" || one == "--help" => return Ok(Request::Help),
        [demo, rest @ ..] if demo == "demo" && !std::path::Path::new("demo").exists() => {
            return crate::demo::parse(rest).map(Request::Demo);
        }
        [check, rest @ ..] if check == "--check-config" => return Ok(Request::CheckConfig(sources(rest)?)),
        _ => {}
    }
    if let Some(refused) =
        args.iter().find(|arg| matches!(arg.as_str(), "--sentinel" | "--test-memory" | "--check-system"))
    {
        return Err(format!("{refused} is not supported: see --help"));
    }
    sources(args).map(Request::Run)
}

fn sources(mut args: &[String]) -> Result<Sources, String> {
    let mut sources = Sources::default();
    if let [first, rest @ ..] = args
        && !first.starts_with('-')
    {
        sources.file = Some(PathBuf::from(first));
        args = rest;
    }
    // Set when an option still waits for its first value: that may begin with dashes too.
    let mut waits = false;
    for (at, arg) in args.iter().enumerate() {
        let next_is_option = args.get(at + 1).is_none_or(|next| next.starts_with("--"));
        match (arg.strip_prefix("--"), sources.options.last_mut()) {
            (Some(option), _) if !waits => {
                let words = split_words(option).filter(|words| !words.is_empty());
                let mut words = words.ok_or_else(|| format!("'{arg}' is no option"))?;
                waits = words.len() == 1;
                if waits && words[0].eq_ignore_ascii_case("save") && next_is_option {
                    // "--save" alone has always meant "no snapshots".
                    words.push(String::new());
                    waits = false;
                }
                sources.options.push(words);
            }
            _ if arg == "-" && !waits && (at == 0 || at + 1 == args.len()) => sources.stdin = true,
            (_, Some(option)) => {
                option.push(arg.clone());
                waits = false;
            }
            // Redis takes the first setting without its dashes, when it stands behind the file.
            (_, None) => sources.options.push(vec![arg.clone()]),
        }
    }
    Ok(sources)
}

/// Reads the configuration from everywhere the command line names. `stdin` reads the standard input to its end.
pub(crate) fn load(
    sources: &Sources,
    stdin: impl FnOnce() -> std::io::Result<String>,
) -> Result<Config, String> {
    let mut config = Config::new();
    let mut reader = config.reader();
    if let Some(file) = &sources.file {
        reader.file(file).map_err(|error| match error {
            LoadError::Line(error) => fatal(&error),
            LoadError::Open { .. } => error.to_string(),
        })?;
    }
    if sources.stdin {
        let text = stdin().map_err(|error| format!("Fatal error, can't read the standard input: {error}"))?;
        reader.stdin(&text).map_err(|error| fatal(&error))?;
    }
    for option in &sources.options {
        reader.option(option).map_err(|error| fatal(&error))?;
    }
    if let Some(file) = &sources.file {
        config.set_file(std::path::absolute(file).unwrap_or_else(|_| file.clone()));
    }
    Ok(config)
}

fn fatal(error: &FileError) -> String {
    format!(
        "\n*** FATAL CONFIG FILE ERROR (Redoubt {}) ***\n{error}",
        redoubt_server::version::REDOUBT_VERSION
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &str) -> Vec<String> {
        split_words(line).unwrap()
    }

    fn options(line: &str) -> Vec<String> {
        match parse(&args(line)) {
            Ok(Request::Run(sources)) => sources.options.iter().map(|option| option.join("|")).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn run(line: &str) -> Result<Config, String> {
        let Request::Run(sources) = parse(&args(line))? else { panic!("not run") };
        load(&sources, || Ok("hz 20\nport 5\n".into()))
    }

    fn get(config: &Config, name: &str) -> String {
        config.get(&[name])[0].1.clone()
    }

    #[test]
    fn one_word_requests() {
        assert_eq!(parse(&args("-v")), Ok(Request::Version));
        assert_eq!(parse(&args("--version")), Ok(Request::Version));
        assert_eq!(parse(&args("--help")), Ok(Request::Help));
        assert_eq!(parse(&args("--check-config")), Ok(Request::CheckConfig(Sources::default())));
        assert!(parse(&args("--sentinel")).is_err());
        assert!(help("redis-server").contains("redis-server --port 7777"));
    }

    #[test]
    fn options_take_values_until_the_next() {
        assert_eq!(
            options("--port 7000 --bind 1.1.1.1 -::1 --hz 5"),
            ["port|7000", "bind|1.1.1.1|-::1", "hz|5"]
        );
        assert_eq!(options("--requirepass --secret --port 1"), ["requirepass|--secret", "port|1"]);
        assert_eq!(options("'--port 7000' '--save 1 2'"), ["port|7000", "save|1|2"]);
        assert_eq!(options("--save '' --port 1"), ["save|", "port|1"]);
        assert_eq!(options("--save --port 1"), ["save|", "port|1"]);
        assert_eq!(options("--save"), ["save|"]);
        assert_eq!(options("a.conf loglevel verbose '--hz 5'"), ["loglevel|verbose", "hz|5"]);
    }

    #[test]
    fn standard_input_comes_before_options() {
        let config = run("- --port 6").unwrap();
        assert_eq!((get(&config, "hz"), get(&config, "port")), ("20".into(), "6".into()));
        assert_eq!(get(&run("--port 6 -").unwrap(), "port"), "6");
        assert_eq!(get(&run("--save 60 1 --save 30 2").unwrap(), "save"), "60 1 30 2");
    }

    #[test]
    fn errors_name_the_place() {
        let error = run("--foo 1").unwrap_err();
        assert!(error.contains("*** FATAL CONFIG FILE ERROR (Redoubt "), "{error}");
        assert!(error.contains(">>> 'foo \"1\"'\nBad directive or wrong number of arguments"), "{error}");
        assert!(run("--port").unwrap_err().contains("wrong number of arguments"));
        let error = run("/does/not/exist.conf --port 1").unwrap_err();
        assert_eq!(
            error,
            "Fatal error, can't open config file '/does/not/exist.conf': No such file or directory"
        );
        assert!(run("- stray").unwrap_err().contains(">>> 'stray'\nBad directive"));
    }
}
