//! The two services of this example, as tonic generates them: servers, and clients for its test.

#![allow(missing_docs, missing_debug_implementations, unreachable_pub, reason = "generated code")]

tonic::include_proto!("example.Account");
tonic::include_proto!("example.Sessions");

/// `google.protobuf.Empty`.
pub type Empty = ();
