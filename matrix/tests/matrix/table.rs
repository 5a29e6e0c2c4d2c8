//! All cells are walked through, and the table in `README.md` is the one of these rows.

use std::{fmt::Write as _, fs, path::Path};

use http::Version;

use crate::{
    tower_http_layers, tower_layers,
    walk::{Cell, Row, walk},
};

/// A row: the layer in every place. Where an error of the layer's own has to become a response for
/// axum, the second expression says how.
macro_rules! row {
    ($name:literal, $layer:expr) => {
        row!($name, $layer, $layer)
    };
    ($name:literal, $layer:expr, $for_axum:expr) => {{
        use axum::{Router, routing::any};
        use tower::ServiceBuilder;
        use tower_redis_session::{csrf::CsrfLayer, layer::SavepointLayer};

        use $crate::{
            stack::{Door, Handler, axum_handler, boxed, sessions},
            walk::{Cell, Row},
        };
        let mut cells = Vec::new();
        let door = Door::default();
        let stack = ServiceBuilder::new()
            .layer($layer)
            .layer(sessions())
            .layer(CsrfLayer::new())
            .layer(door.guard())
            .layer(SavepointLayer::new())
            .service(Handler);
        cells.push(Cell { column: "outside", door, service: boxed(stack) });
        let door = Door::default();
        let stack = ServiceBuilder::new()
            .layer(sessions())
            .layer($layer)
            .layer(CsrfLayer::new())
            .layer(door.guard())
            .layer(SavepointLayer::new())
            .service(Handler);
        cells.push(Cell { column: "between", door, service: boxed(stack) });
        let door = Door::default();
        let stack = ServiceBuilder::new()
            .layer(sessions())
            .layer(CsrfLayer::new())
            .layer(door.guard())
            .layer(SavepointLayer::new())
            .layer($layer)
            .service(Handler);
        cells.push(Cell { column: "inside", door, service: boxed(stack) });
        let door = Door::default();
        let router = Router::new()
            .route("/{*path}", any(axum_handler))
            .layer(SavepointLayer::new())
            .layer(door.guard())
            .layer(CsrfLayer::new())
            .layer(sessions())
            .layer($for_axum);
        cells.push(Cell { column: "`Router::layer`, outside", door, service: boxed(router) });
        let door = Door::default();
        let router = Router::new()
            .route("/{*path}", any(axum_handler))
            .route_layer($for_axum)
            .route_layer(SavepointLayer::new())
            .route_layer(door.guard())
            .layer(CsrfLayer::new())
            .layer(sessions());
        cells.push(Cell { column: "`Router::route_layer`, inside", door, service: boxed(router) });
        Row { name: $name, cells }
    }};
}
pub(crate) use row;

async fn walk_through(rows: &[Row]) {
    for row in rows {
        for cell in &row.cells {
            for version in [Version::HTTP_11, Version::HTTP_2] {
                walk(row.name, cell, version).await;
            }
        }
    }
}

#[tokio::test]
async fn every_layer_of_tower_fits_in_every_place() {
    walk_through(&tower_layers::rows()).await;
}

#[tokio::test]
async fn every_layer_of_tower_http_fits_in_every_place() {
    walk_through(&tower_http_layers::rows()).await;
}

#[tokio::test]
async fn the_table_in_the_readme_is_the_one_of_these_rows() {
    let mut table = String::new();
    for (crate_name, rows) in
        [("tower", tower_layers::rows()), ("tower-http", tower_http_layers::rows())]
    {
        let columns: Vec<_> = rows[0].cells.iter().map(|cell: &Cell| cell.column).collect();
        let columns = columns.join(" | ");
        writeln!(table, "| {crate_name} | {columns} |\n|---|---|---|---|---|---|").unwrap();
        for row in rows {
            let cells = " yes |".repeat(row.cells.len());
            writeln!(table, "| {} |{cells}", row.name).unwrap();
        }
        table.push('\n');
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let (begin, end) = ("<!-- table -->\n", "<!-- end -->");
    let (before, rest) = readme.split_once(begin).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    let expected = format!("{before}{begin}{table}{end}{after}");
    if std::env::var_os("UPDATE_MATRIX").is_some() {
        fs::write(&path, expected).unwrap();
    } else {
        assert_eq!(readme, expected, "UPDATE_MATRIX=1 cargo test -p layer-matrix writes the table");
    }
}
