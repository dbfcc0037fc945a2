use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};

use faults::{Config, FaultServer, StartError};
use tokio_tungstenite::tungstenite::Message;

use crate::support::connect;

/// Ends the process even if the test fails.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fault-server"));
    command
        .args(arguments)
        .env_remove("TEST_SERVER_ALLOW_ORIGIN")
        .stdin(Stdio::null());
    command
}

#[tokio::test]
async fn it_says_where_it_listens() {
    let mut process = Killed(
        program(&["--port", "0"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut line = String::new();
    BufReader::new(process.0.stderr.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let address = line
        .strip_prefix("listening on http://")
        .and_then(|rest| rest.strip_suffix("/\n"))
        .unwrap_or_else(|| panic!("{line}"));
    let mut client = connect(address.parse().unwrap(), "/").await.unwrap();
    assert_eq!(client.ask("Ada").await, Message::from("Hello Ada!"));
}

#[tokio::test]
async fn it_listens_to_this_machine_alone() {
    let output = program(&["--host", "0.0.0.0"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains("0.0.0.0 is not on the loopback interface"),
        "{stderr}"
    );
    let config = Config {
        host: Ipv4Addr::UNSPECIFIED.into(),
        ..Config::default()
    };
    assert!(matches!(
        FaultServer::bind(config).await,
        Err(StartError::NotLoopback(_))
    ));
}
