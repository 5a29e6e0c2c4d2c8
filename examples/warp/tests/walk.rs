//! A client walks through the example over TCP.

#[tokio::test]
async fn a_client_signs_in_counts_uploads_and_signs_out() {
    test_support::walk_example(env!("CARGO_BIN_EXE_example-warp")).await;
}
