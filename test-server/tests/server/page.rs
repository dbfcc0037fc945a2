use test_server::Config;

use crate::support::{Folder, config, start};

#[tokio::test]
async fn before_it_is_built_the_page_says_how_to_build_it() {
    let server = start(config()).await;
    let answer = server.http("GET", "/", &[]).await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    assert!(
        answer.contains("content-type: text/plain; charset=utf-8\r\n"),
        "{answer}"
    );
    assert!(answer.contains("cargo xtask demo"), "{answer}");
}

#[tokio::test]
async fn files_come_with_their_types_and_a_policy() {
    let www = Folder::new("types");
    let files = [
        ("index.html", "text/html"),
        ("app.js", "text/javascript"),
        ("style.css", "text/css"),
        ("pkg/client_bg.wasm", "application/wasm"),
        ("icon.svg", "image/svg+xml"),
    ];
    for (name, _) in files {
        www.write(name, name);
    }
    let server = start(Config {
        www: www.path(),
        connect_to: vec!["http://127.0.0.1:9".parse().unwrap()],
        ..config()
    })
    .await;
    for (name, expected) in files {
        let answer = server.http("GET", &format!("/{name}"), &[]).await;
        assert!(
            answer.starts_with("HTTP/1.1 200 ") && answer.ends_with(name),
            "{answer}"
        );
        assert!(
            answer.contains(&format!("content-type: {expected}")),
            "{answer}"
        );
        assert!(
            answer.contains("x-content-type-options: nosniff\r\n"),
            "{answer}"
        );
    }
    let answer = server.http("GET", "/", &[]).await;
    assert!(answer.ends_with("\r\n\r\nindex.html"), "{answer}");
    let policy = answer
        .lines()
        .find_map(|line| line.strip_prefix("content-security-policy: "));
    let policy = policy.expect("a policy");
    for directive in [
        "default-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        &format!("connect-src 'self' ws://{}", server.address),
        " http://127.0.0.1:9 ws://127.0.0.1:9;",
    ] {
        assert!(policy.contains(directive), "{policy}");
    }
    assert!(!policy.contains("unsafe-inline"), "{policy}");
    assert!(server.http("HEAD", "/", &[]).await.ends_with("\r\n\r\n"));
}

#[tokio::test]
async fn nothing_outside_of_the_folder_is_served() {
    let www = Folder::new("outside");
    www.write("index.html", "page");
    www.write("../secret", "secret");
    let server = start(Config {
        www: www.path(),
        ..config()
    })
    .await;
    for path in [
        "/../secret",
        "/%2e%2e/secret",
        "/..%2fsecret",
        "/x/../../secret",
        "/..%5csecret",
        "//secret",
    ] {
        let answer = server.http("GET", path, &[]).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{path}: {answer}");
        assert!(!answer.ends_with("secret"), "{path}: {answer}");
    }
}

#[tokio::test]
async fn other_methods_are_refused() {
    let server = start(config()).await;
    for method in ["POST", "PUT", "DELETE"] {
        let answer = server.http(method, "/", &[]).await;
        assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    }
}
