//! polars reads what is written here, and what polars wrote is read here.

use polars::prelude::{
    Column, DataFrame, DataType, Float32Type, IntoColumn, ListBuilderTrait, ListPrimitiveChunkedBuilder, NamedFrom,
    ParquetCompression, ParquetWriter, Series,
};

use super::*;
use crate::random::Random;

/// Rows with numbers of all kinds, among them such as have no equal.
fn rows(count: usize, width: usize) -> Vec<Row> {
    let mut random = Random::new(width as u64);
    let mut number = || match random.uniform() {
        share if share < 0.01 => f32::MIN_POSITIVE / 2.0,
        share if share < 0.02 => -0.0,
        _ => random.normal() as f32,
    };
    let row = |index: usize| Row {
        key: Digest::of(&index.to_le_bytes()),
        tokens: index as u32,
        cut_prompt: u32::MAX - index as u32,
        cut_response: index as u32 % 3,
        vector: (0..width).map(|_| number()).collect(),
    };
    (0..count).map(row).collect()
}

fn bits(rows: &[Row]) -> Vec<u32> {
    rows.iter().flat_map(|row| row.vector.iter().map(|value| value.to_bits())).collect()
}

fn all_rows(shard: &Shard) -> Vec<Row> {
    (0..shard.keys.len()).map(|index| shard.row(index)).collect()
}

/// Counts and widths around the borders of the levels' variable-length integers: 64 and 8192 values a run.
const SHAPES: [(usize, usize); 8] = [(1, 1), (3, 1), (1, 2), (5, 64), (2, 65), (7, 66), (128, 64), (3, 8194)];

#[test]
fn polars_reads_the_same_rows() {
    for (count, width) in SHAPES {
        let rows = rows(count, width);
        let bytes = encode(&rows, width).expect("encoded");
        let frame = ParquetReader::new(Cursor::new(&bytes)).finish().expect("Parquet");
        assert_eq!(frame.get_column_names(), ["key", "tokens", "cut_prompt", "cut_response", "vector"]);
        assert_eq!(frame.column("vector").expect("there").dtype(), &DataType::List(Box::new(DataType::Float32)));
        let lists = frame.column("vector").expect("there").list().expect("lists");
        for (index, row) in rows.iter().enumerate() {
            let vector = lists.get_as_series(index).expect("no gap");
            let vector: Vec<u32> =
                vector.f32().expect("f32").iter().map(|value| value.expect("no gap").to_bits()).collect();
            assert_eq!(vector, bits(std::slice::from_ref(row)), "{count} rows of {width}: row {index}");
        }
        let shard = decode_any(Buffer::from(bytes), width).expect("by polars");
        assert_eq!((all_rows(&shard), bits(&all_rows(&shard))), (rows.clone(), bits(&rows)));
    }
}

#[test]
fn rows_come_back_without_polars() {
    for (count, width) in SHAPES {
        let rows = rows(count, width);
        let bytes = Buffer::from(encode(&rows, width).expect("encoded"));
        let shard = decode_plain(&bytes, width).expect("our own encodings");
        assert_eq!((all_rows(&shard), bits(&all_rows(&shard))), (rows.clone(), bits(&rows)));
    }
}

/// The bytes that versions of this package wrote which left encodings to polars.
fn by_polars(rows: &[Row], width: usize) -> Vec<u8> {
    let size = (rows.len(), rows.len() * width);
    let mut vectors =
        ListPrimitiveChunkedBuilder::<Float32Type>::new("vector".into(), size.0, size.1, DataType::Float32);
    rows.iter().for_each(|row| vectors.append_slice(&row.vector));
    let numbers = |name: &str, pick: fn(&Row) -> u32| -> Column {
        Series::new(name.into(), rows.iter().map(pick).collect::<Vec<u32>>()).into_column()
    };
    let keys: Vec<String> = rows.iter().map(|row| row.key.to_string()).collect();
    let columns = vec![
        Series::new("key".into(), keys).into_column(),
        numbers("tokens", |row| row.tokens),
        numbers("cut_prompt", |row| row.cut_prompt),
        numbers("cut_response", |row| row.cut_response),
        vectors.finish().into_column(),
    ];
    let mut bytes = Vec::new();
    let mut frame = DataFrame::new(rows.len(), columns).expect("columns of one length");
    let writer = ParquetWriter::new(&mut bytes).with_compression(ParquetCompression::Uncompressed);
    writer.finish(&mut frame).expect("written");
    bytes
}

#[test]
fn shards_of_earlier_versions_are_read() {
    // The last is written in two pages.
    for (count, width) in [(1, 1), (7, 66), (700, 500)] {
        let rows = rows(count, width);
        let shard = Shard::decode(by_polars(&rows, width), width).expect("read");
        assert_eq!((all_rows(&shard), bits(&all_rows(&shard))), (rows.clone(), bits(&rows)));
    }
}

#[test]
fn vectors_of_another_width_are_refused() {
    let rows = rows(6, 4);
    assert!(encode(&rows, 5).expect_err("too short").to_string().contains("4 numbers, the store's have 5"));
    for bytes in [encode(&rows, 4).expect("encoded"), by_polars(&rows, 4)] {
        for width in [0, 1, 2, 3, 5, 6, 8, 24] {
            assert!(Shard::decode(bytes.clone(), width).is_err(), "width {width}");
        }
    }
}

#[test]
fn what_is_cut_short_or_no_shard_is_refused() {
    let bytes = encode(&rows(6, 4), 4).expect("encoded");
    for length in 0..bytes.len() {
        assert!(Shard::decode(bytes[..length].to_vec(), 4).is_err(), "{length} bytes");
    }
    assert!(Shard::decode(b"PAR1 but no more PAR1".to_vec(), 4).is_err());
}
