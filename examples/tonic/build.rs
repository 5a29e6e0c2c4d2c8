//! The service by tonic's generator, without `protoc`: its messages are protobuf's wrapper types.

use tonic_build::manual::{Builder, Method, Service};

fn main() {
    let method = |name, route, input, output| {
        let method = Method::builder().name(name).route_name(route).codec_path(CODEC);
        method.input_type(input).output_type(output)
    };
    let sessions = Service::builder().package("example").name("Sessions");
    let sessions = sessions
        .method(method("sign_in", "SignIn", "String", "crate::Empty").build())
        .method(method("sign_out", "SignOut", "crate::Empty", "crate::Empty").build())
        .method(method("visit", "Visit", "crate::Empty", "u32").build())
        .method(method("note", "Note", "String", "crate::Empty").build())
        .method(
            method("upload", "Upload", "String", "u64")
                .client_streaming()
                .server_streaming()
                .build(),
        );
    let account = Service::builder().package("example").name("Account");
    let account = account.method(method("show", "Show", "crate::Empty", "String").build());
    Builder::new().compile(&[sessions.build(), account.build()]);
}

const CODEC: &str = "tonic_prost::ProstCodec";
