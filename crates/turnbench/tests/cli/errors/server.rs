//! The server before the run.

use crate::support::case::Case;
use crate::support::stub::{Behaviour, Stub};

use super::{check, refused};

#[test]
fn a_server_that_is_not_there_is_exit_code_3() {
    let case = Case::new(Behaviour::default());
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{closed}");
    for tokenizer in [&[][..], &["--tokenizer", "server"], &["--tokenizer", "none"]] {
        let run = refused(&case, &[&["--url", &url], tokenizer].concat());
        assert_eq!(run.code, Some(3), "{}", run.stderr);
        let expect = format!(
            "error: no answer from {url}/version: cannot connect to {closed}: Connection refused \
             (os error 111)\nhint: is the server running, and is this its url?\n"
        );
        assert!(run.stderr.ends_with(&expect), "{}", run.stderr);
    }
    let run = refused(&case, &["--url", "http://no-such-host.invalid"]);
    assert_eq!(run.code, Some(3), "{}", run.stderr);
    assert!(run.stderr.contains("cannot resolve host no-such-host.invalid"), "{}", run.stderr);
}

#[test]
fn a_model_that_the_server_does_not_have_is_answered_with_those_it_has() {
    let case = Case::new(Behaviour::default());
    let expect = "error: the server at URL has no model 'other'; it has: stub-model\nhint: \
                  --served-model-name stub-model";
    check(&case, &["--served-model-name", "other"], expect);
    // A server that lists no models may have it.
    let case = Case::new(Behaviour { no_server_info: true, ..Behaviour::default() });
    let run = case.run(&["--served-model-name", "other"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
}

#[test]
fn a_wrong_api_key_is_refused_before_the_run() {
    let key = Stub::start(Behaviour { demand_key: Some("right".into()), ..Behaviour::default() });
    let case = Case { stub: key, ..Case::new(Behaviour::default()) };
    let expect = "error: the server at URL refuses the API key (HTTP 401)\nhint: --api-key KEY, \
                  or OPENAI_API_KEY";
    check(&case, &["--api-key", "wrong"], expect);
    check(&case, &[], &expect.replace("refuses the API key", "demands an API key"));
    let run = case.run(&["--api-key", "right"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
}
