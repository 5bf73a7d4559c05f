//! What a server is asked besides completions.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use turnbench_client::http1::ChatHeaders;
use turnbench_client::{ServerTokenizer, TlsOptions, server_info};
use turnbench_model::Tokenizer;

use crate::support::*;

#[test]
fn server_info_tolerates_what_servers_lack() {
    block_on(async {
        let (listener, url) = listen().await;
        let server = async {
            let mut stream = listener.accept().await.unwrap().0;
            let models = r#"{"data":[{"id":"m","max_model_len":9}]}"#;
            for (status, body) in [("404 Not Found", "{}"), ("200 OK", models)] {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.unwrap());
                }
                let length = body.len();
                let text = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}");
                stream.write_all(text.as_bytes()).await.unwrap();
            }
        };
        let connector = connector(&url, &TlsOptions::default());
        let headers = ChatHeaders::default();
        let (info, ()) = tokio::join!(server_info(&connector, &headers), server);
        let info = info.unwrap();
        assert_eq!((info.version, info.models_status), (None, 200));
        let models = info.models.unwrap();
        assert_eq!((models[0].id.as_str(), models[0].max_model_len), ("m", Some(9)));
    });
}

#[test]
fn the_servers_tokenizer_speaks_vllms_words() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serve = async move {
        let listener = TcpListener::from_std(listener).unwrap();
        let mut stream = listener.accept().await.unwrap().0;
        let mut bodies = Vec::new();
        for (status, answer) in [
            ("200 OK", r#"{"count":2,"max_model_len":9,"tokens":[5,7],"token_strs":null}"#),
            ("200 OK", r#"{"prompt":"hé"}"#),
            ("404 Not Found", r#"{"error":{"message":"no such model"}}"#),
        ] {
            let mut request = Vec::new();
            while !request.ends_with(b"}") {
                request.push(stream.read_u8().await.unwrap());
            }
            let text = String::from_utf8(request).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            bodies.push((head.split(' ').nth(1).unwrap().to_owned(), body.to_owned()));
            let length = answer.len();
            let text = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{answer}");
            stream.write_all(text.as_bytes()).await.unwrap();
        }
        bodies
    };
    let server = std::thread::spawn(|| block_on(serve));
    let connector = connector(&url, &TlsOptions::default());
    let tokenizer = ServerTokenizer::new(connector, &ChatHeaders::default(), "m", 100).unwrap();
    assert_eq!(tokenizer.encode("hé").unwrap(), [5, 7]);
    assert_eq!(tokenizer.decode(&[5, 7]).unwrap(), "hé");
    let error = tokenizer.encode("x").unwrap_err().to_string();
    assert_eq!(error, "/tokenize: status 404: no such model");
    let bodies = server.join().unwrap();
    assert_eq!(bodies[0].0, "/tokenize");
    assert_eq!(bodies[0].1, r#"{"model":"m","prompt":"hé","add_special_tokens":false}"#);
    let expect = r#"{"model":"m","tokens":[5,7]}"#;
    assert_eq!((bodies[1].0.as_str(), bodies[1].1.as_str()), ("/detokenize", expect));
}
