use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Command, Output};

use crate::support::{Killed, program};

fn run(arguments: &[&str]) -> (Output, String, String) {
    let output = program(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    (output, stdout, stderr)
}

#[test]
fn help_lists_every_option_with_its_default() {
    let (output, stdout, _) = run(&["--help"]);
    assert!(output.status.success());
    let cases = [
        ("--host", "127.0.0.1"),
        ("--port", "8765"),
        ("--www", "target/www"),
        ("--quiet", "off"),
        ("--allow-origin", "none"),
        ("--require-origin", "off"),
        ("--max-message-bytes", "65536"),
        ("--max-connections", "1000"),
        ("--handshake-timeout", "10"),
        ("--idle-timeout", "50"),
        ("--ping-interval", "20"),
        ("--close-timeout", "2"),
        ("--shutdown-timeout", "5"),
        ("--tls", "off"),
        ("--tls-cert", "none"),
        ("--tls-key", "none"),
        ("--demo-control", "off"),
    ];
    for (option, default) in cases {
        let from = stdout
            .find(&format!("\n  {option} "))
            .unwrap_or_else(|| panic!("{option}"));
        let text = &stdout[from..];
        let shown = text
            .split_once("[default: ")
            .and_then(|(_, rest)| rest.split_once(']'))
            .unwrap()
            .0;
        assert_eq!(shown, default, "{option}");
    }
}

#[test]
fn a_port_in_use_is_a_clear_error_and_code_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (output, stdout, stderr) = run(&["--port", &port]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr.starts_with(&format!("error: port {port} of 127.0.0.1 is in use")),
        "{stderr}"
    );
    assert_eq!(stdout, "");
}

#[test]
fn wrong_options_are_code_2() {
    for arguments in [
        &["--port", "x"][..],
        &["--prot", "0"],
        &["--ping-interval", "50"],
    ] {
        let (output, _, stderr) = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(
            stderr.starts_with("error: ") && stderr.contains("--help"),
            "{stderr}"
        );
    }
}

#[cfg(unix)]
#[tokio::test]
async fn it_greets_writes_down_and_stops_on_a_signal() {
    use futures_util::{SinkExt, StreamExt};
    use tokio_tungstenite::tungstenite::Message;

    use crate::support::within;

    for signal in ["TERM", "INT"] {
        let mut process = Killed(program(&["--port", "0"]).spawn().unwrap());
        let mut stderr = BufReader::new(process.0.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        let address = line
            .strip_prefix("listening on http://")
            .and_then(|rest| rest.strip_suffix("/\n"))
            .unwrap_or_else(|| panic!("{line}"));

        let url = format!("ws://{address}/");
        let (mut client, _) = within(tokio_tungstenite::connect_async(url)).await.unwrap();
        client.send(Message::from("Ada")).await.unwrap();
        assert_eq!(
            within(client.next()).await.unwrap().unwrap(),
            Message::from("Hello Ada!")
        );

        let pid = process.0.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", signal, &pid])
                .status()
                .unwrap()
                .success()
        );
        let Message::Close(Some(close)) = within(client.next()).await.unwrap().unwrap() else {
            panic!("no close frame");
        };
        assert_eq!(u16::from(close.code), 1001);
        assert!(within(client.next()).await.is_none_or(|end| end.is_err()));

        assert!(process.0.wait().unwrap().success());
        let mut stdout = String::new();
        process
            .0
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut stdout)
            .unwrap();
        assert_eq!(stdout, "< Ada\n> Hello Ada!\n");
        let mut rest = String::new();
        stderr.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "stopped\n");
    }
}
