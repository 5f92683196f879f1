//! The `mock-backend` command: a backend for a person to drive.

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(code) = driver_conformance_mock_backend::run_if_requested() {
        return code;
    }
    stand_alone::main()
}

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command of its own"
)]
mod stand_alone {
    use std::io::{self, Read as _};
    use std::path::PathBuf;
    use std::process::ExitCode;

    use driver_conformance_mock_backend::Personality;
    use driver_conformance_mock_backend::client::{BackendProcess, Wanted};
    use driver_conformance_mock_backend::place;

    const USAGE: &str = "\
Usage: mock-backend serve [PERSONALITY] [--directory DIRECTORY] [--real PATH]

Starts a backend for you to drive, until you press Ctrl-D or Ctrl-C.

  PERSONALITY  which tool it is: a name, or the path of a TOML file [default: podman]
  --directory  where it keeps everything, removed at the end [default: a new one in the temporary directory]
  --real       pass everything through to the real tools in these directories; only record it and inject faults
";

    /// Exit code for wrong usage.
    const WRONG_USAGE: u8 = 2;

    pub(super) fn main() -> ExitCode {
        let words: Vec<String> = std::env::args().skip(1).collect();
        let order = match parse(&words) {
            Ok(order) => order,
            Err(problem) => {
                eprint!("{problem}{USAGE}");
                return ExitCode::from(WRONG_USAGE);
            }
        };
        match serve(&order) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("mock-backend: {error}");
                ExitCode::FAILURE
            }
        }
    }

    struct Order {
        directory: Option<PathBuf>,
        wanted: Wanted,
    }

    fn parse(words: &[String]) -> Result<Order, String> {
        let mut words = words.iter().map(String::as_str);
        if words.next() != Some("serve") {
            return Err(String::new());
        }
        let mut order = Order {
            directory: None,
            wanted: Wanted {
                personality: "podman".to_owned(),
                real: None,
            },
        };
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .ok_or_else(|| format!("{word} needs a value\n\n"))
            };
            match word {
                "--directory" => order.directory = Some(PathBuf::from(value()?)),
                "--real" => order.wanted.real = Some(value()?.to_owned()),
                word if word.starts_with('-') => return Err(format!("unknown option {word}\n\n")),
                word => word.clone_into(&mut order.wanted.personality),
            }
        }
        Ok(order)
    }

    fn serve(order: &Order) -> io::Result<()> {
        let personality = Personality::find(&order.wanted.personality).map_err(io::Error::other)?;
        let temporary = tempfile::Builder::new().prefix("mock-backend-").tempdir()?;
        let own = temporary.path().join("backend");
        let root = order.directory.clone().unwrap_or(own);
        let backend = BackendProcess::start(&std::env::current_exe()?, &root, &order.wanted)?;
        let opened = backend.control()?.open("mine")?;
        println!("{}: {}", personality.name(), personality.about());
        println!("boxes    {}", backend.status().isolation);
        println!("ledger   {}", place::ledger(&root).display());
        println!("control  {}", place::control_socket(&root).display());
        println!("In another terminal:\n");
        println!("  export PATH={}:$PATH", opened.shims.display());
        for (name, value) in &opened.environment {
            println!("  export {name}={value}");
        }
        let mut rest = Vec::new();
        io::stdin().lock().read_to_end(&mut rest)?;
        Ok(())
    }
}
