//! A proxy, run with the configuration of the documentation.

use std::fmt;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::Result;
use crate::sessions::Servers;

/// The ports in the documentation: the proxy's, and those of the two processes behind it.
const PORTS: [&str; 3] = ["8080", "8081", "8082"];

#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Nginx,
    Haproxy,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
        })
    }
}

impl Kind {
    /// The configuration that the page shows.
    pub(crate) fn configuration(self, page: &str) -> Result<String> {
        let fence = match self {
            Self::Nginx => "```nginx\n",
            Self::Haproxy => "```haproxy\n",
        };
        let (_, rest) = page
            .split_once(fence)
            .ok_or_else(|| format!("the page shows no {self}"))?;
        let (configuration, _) = rest.split_once("```").ok_or("a code block does not end")?;
        Ok(configuration.to_owned())
    }

    /// The same with another limit of silence.
    pub(crate) fn with_timeout(self, configuration: &str, limit: Duration) -> String {
        let limit = format!("{}s;", limit.as_secs());
        match self {
            Self::Nginx => replaced(
                configuration,
                "proxy_read_timeout 60s;",
                &format!("proxy_read_timeout {limit}"),
            ),
            Self::Haproxy => {
                let limit = limit.trim_end_matches(';');
                replaced(
                    configuration,
                    "timeout tunnel 60s",
                    &format!("timeout tunnel {limit}"),
                )
            }
        }
    }

    /// The same, but whichever process is next gets a connection.
    pub(crate) fn without_affinity(self, configuration: &str) -> String {
        match self {
            Self::Nginx => replaced(configuration, "hash $arg_client consistent;", ""),
            Self::Haproxy => replaced(
                configuration,
                "balance url_param client",
                "balance roundrobin",
            ),
        }
    }
}

fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "the page does not say {from:?}");
    text.replace(from, to)
}

/// A running proxy.
pub(crate) struct Proxy {
    kind: Kind,
    process: Child,
    port: u16,
    /// Its files.
    _folder: TempDir,
}

impl Proxy {
    pub(crate) fn start(
        kind: Kind,
        program: &Path,
        configuration: &str,
        servers: &Servers,
    ) -> Result<Self> {
        let folder = TempDir::new()?;
        let port = free_port()?;
        let mut configuration = configuration.to_owned();
        for (shown, real) in PORTS
            .into_iter()
            .zip([port, servers.ports[0], servers.ports[1]])
        {
            configuration = replaced(&configuration, shown, &real.to_string());
        }
        let file = folder.path().join("configuration");
        let path = folder.path().display();
        let whole = match kind {
            // Nothing of the system's own files is used or written.
            Kind::Nginx => format!(
                "daemon off;\npid {path}/pid;\nerror_log stderr warn;\nworker_shutdown_timeout 1s;\n\
                 events {{}}\nhttp {{\naccess_log off;\nclient_body_temp_path {path}/body;\n\
                 proxy_temp_path {path}/proxy;\nfastcgi_temp_path {path}/fastcgi;\nuwsgi_temp_path {path}/uwsgi;\n\
                 scgi_temp_path {path}/scgi;\n{configuration}}}\n"
            ),
            Kind::Haproxy => format!("global\n    hard-stop-after 1s\n\n{configuration}"),
        };
        std::fs::write(&file, whole)?;
        let mut command = Command::new(program);
        match kind {
            Kind::Nginx => command.arg("-c").arg(&file).arg("-p").arg(folder.path()),
            // With a master process, which a signal reloads.
            Kind::Haproxy => command.args(["-W", "-q", "-f"]).arg(&file),
        };
        let process = command.stdin(Stdio::null()).spawn()?;
        let mut proxy = Self {
            kind,
            process,
            port,
            _folder: folder,
        };
        proxy.wait_until_it_listens()?;
        Ok(proxy)
    }

    fn wait_until_it_listens(&mut self) -> Result<()> {
        for _ in 0..600 {
            if let Some(status) = self.process.try_wait()? {
                return Err(format!("{} has ended: {status}", self.kind).into());
            }
            if std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(format!("{} does not listen", self.kind).into())
    }

    pub(crate) fn address(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    /// Reads its configuration again: new workers serve what comes from then on.
    pub(crate) fn reload(&mut self) -> Result<()> {
        let signal = match self.kind {
            Kind::Nginx => Signal::SIGHUP,
            Kind::Haproxy => Signal::SIGUSR2,
        };
        kill(self.id(), signal)?;
        Ok(())
    }

    fn id(&self) -> Pid {
        Pid::from_raw(self.process.id().cast_signed())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Its workers end with it.
        let _ = kill(self.id(), Signal::SIGTERM);
        let _ = self.process.wait();
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
