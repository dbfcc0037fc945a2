//! Sessions through nginx and HAProxy, with the configurations that docs/operations.md shows: they survive silence and a
//! reload of the proxy, and come back to the process that has them.

mod proxy;
mod sessions;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use lexopt::Arg;
use proxy::{Kind, Proxy};
use sessions::{Crowd, Servers, sleep};
use steady_socket::native;

const HELP: &str = "\
Has sessions go through nginx and HAProxy, configured as the documentation says, and checks that nothing is lost.

  --nginx PROGRAM    nginx
  --haproxy PROGRAM  HAProxy
  --page FILE        docs/operations.md, which shows how to configure them
  --help             this text
";

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// How often a proxy is reloaded while messages flow, and how long they flow before and after each reload.
const RELOADS: usize = 3;
const FLOW: Duration = Duration::from_secs(2);

/// The silence that a proxy allows in the test of silence, and how long that lasts. The servers ping every second, so that a
/// busy machine has time for one.
const SILENCE_ALLOWED: Duration = Duration::from_secs(6);
const SILENCE: Duration = Duration::from_secs(15);

/// How often to cut connections until somebody comes back to the wrong process.
const CUTS: usize = 10;

struct Arguments {
    proxies: [(Kind, PathBuf); 2],
    page: PathBuf,
}

fn parse(parser: &mut lexopt::Parser) -> Result<Option<Arguments>> {
    let (mut nginx, mut haproxy, mut page) = (None, None, None);
    while let Some(argument) = parser.next()? {
        let place = match argument {
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            Arg::Long("nginx") => &mut nginx,
            Arg::Long("haproxy") => &mut haproxy,
            Arg::Long("page") => &mut page,
            other => return Err(other.unexpected().into()),
        };
        *place = Some(PathBuf::from(parser.value()?));
    }
    Ok(Some(Arguments {
        proxies: [
            (Kind::Nginx, nginx.ok_or("no nginx named: --nginx PROGRAM")?),
            (
                Kind::Haproxy,
                haproxy.ok_or("no HAProxy named: --haproxy PROGRAM")?,
            ),
        ],
        page: page.ok_or("no page named: --page FILE")?,
    }))
}

fn main() -> ExitCode {
    let arguments = match parse(&mut lexopt::Parser::from_env()) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("error: {error}\n--help lists the options.");
            return ExitCode::from(2);
        }
    };
    let run = || native::run(run(&arguments))?;
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<()> {
    let page = std::fs::read_to_string(&arguments.page)?;
    let [nginx, haproxy] = &arguments.proxies;
    let (nginx, haproxy) = tokio::join!(behind(nginx, &page), behind(haproxy, &page));
    nginx.and(haproxy)
}

/// All of it behind one proxy.
async fn behind((kind, program): &(Kind, PathBuf), page: &str) -> Result<()> {
    let servers = Servers::start()?;
    let shown = kind.configuration(page)?;
    let start = |configuration: &str| Proxy::start(*kind, program, configuration, &servers);
    cuts_and_reloads(*kind, start(&shown)?, &servers).await?;
    silence(*kind, start(&kind.with_timeout(&shown, SILENCE_ALLOWED))?).await?;
    scattered(*kind, start(&kind.without_affinity(&shown))?, &servers).await
}

/// Connections are cut, and the proxy is reloaded, while messages flow.
async fn cuts_and_reloads(kind: Kind, mut proxy: Proxy, servers: &Servers) -> Result<()> {
    let crowd = Crowd::connect(&proxy.address()).await?;
    crowd.talk_for(FLOW).await;
    let cut = crowd.cut_all(servers).await?;
    if cut.contains(&0) {
        return Err(format!("{kind}: one of the servers had no client: {cut:?}").into());
    }
    let cut: u64 = cut.iter().sum();
    crowd.talk_for(FLOW).await;
    for _ in 0..RELOADS {
        proxy.reload()?;
        crowd.talk_for(FLOW).await;
    }
    let report = crowd.end().await?;
    report.must_be_whole(kind)?;
    println!(
        "{kind}: {cut} connections cut, {RELOADS} reloads, {} resumes, {} messages, none lost",
        report.resumed, report.came
    );
    if report.resumed < cut {
        return Err(format!("{kind}: {} resumes after {cut} cuts", report.resumed).into());
    }
    Ok(())
}

/// Nobody says anything for longer than the proxy allows, but for the server's pings.
async fn silence(kind: Kind, proxy: Proxy) -> Result<()> {
    let crowd = Crowd::connect(&proxy.address()).await?;
    sleep(SILENCE).await;
    crowd.talk_for(FLOW).await;
    let report = crowd.end().await?;
    report.must_be_whole(kind)?;
    println!(
        "{kind}: {} s of silence where {} s are allowed, {} reconnects",
        SILENCE.as_secs(),
        SILENCE_ALLOWED.as_secs(),
        report.resumed
    );
    match report.resumed {
        0 => Ok(()),
        resumed => Err(format!("{kind}: {resumed} connections ended in silence").into()),
    }
}

/// Without affinity, a client may come back to the other process: it is told that its session is lost, and what became of
/// its messages.
async fn scattered(kind: Kind, proxy: Proxy, servers: &Servers) -> Result<()> {
    let crowd = Crowd::connect(&proxy.address()).await?;
    for _ in 0..CUTS {
        crowd.talk_for(FLOW).await;
        if crowd.lost() > 0 {
            break;
        }
        crowd.cut_all(servers).await?;
    }
    let report = crowd.end().await?;
    println!(
        "{kind}, without affinity: {} sessions lost, {} resumed; of {} messages {}",
        report.lost,
        report.resumed,
        report.sent,
        report.ends()
    );
    match report.lost {
        0 => Err(format!("{kind}: every client came back to its own process, {CUTS} times").into()),
        _ => report.must_be_accounted_for(kind),
    }
}
