//! Parquet files of any schema, for tests.

use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int64Type, Int96, Int96Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

/// The values of one column, with the definition and repetition level of each item.
pub(crate) enum TestColumn {
    Text(Vec<&'static [u8]>, Vec<i16>, Vec<i16>),
    Int64(Vec<i64>, Vec<i16>, Vec<i16>),
    Int96(Vec<[u32; 3]>, Vec<i16>, Vec<i16>),
}

/// Texts without levels: one value a row, or `levels` for each.
pub(crate) fn text(values: &[&'static str], definition: &[i16], repetition: &[i16]) -> TestColumn {
    let values = values.iter().map(|value| value.as_bytes()).collect();
    TestColumn::Text(values, definition.to_vec(), repetition.to_vec())
}

/// A file of this schema and these row groups.
pub(crate) fn file(schema: &str, groups: &[Vec<TestColumn>]) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, properties).unwrap();
    for columns in groups {
        let mut group = writer.next_row_group().unwrap();
        for column in columns {
            match column {
                TestColumn::Text(values, definition, repetition) => {
                    let values: Vec<_> =
                        values.iter().map(|it| ByteArray::from(it.to_vec())).collect();
                    write::<ByteArrayType>(&mut group, &values, definition, repetition);
                }
                TestColumn::Int64(values, definition, repetition) => {
                    write::<Int64Type>(&mut group, values, definition, repetition);
                }
                TestColumn::Int96(values, definition, repetition) => {
                    let values: Vec<_> = values.iter().map(|it| Int96::from(it.to_vec())).collect();
                    write::<Int96Type>(&mut group, &values, definition, repetition);
                }
            }
        }
        group.close().unwrap();
    }
    writer.into_inner().unwrap()
}

fn write<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    values: &[T::T],
    definition: &[i16],
    repetition: &[i16],
) {
    let mut column = group.next_column().unwrap().unwrap();
    let levels = |levels: &[i16]| (!levels.is_empty()).then(|| levels.to_vec());
    let (definition, repetition) = (levels(definition), levels(repetition));
    column.typed::<T>().write_batch(values, definition.as_deref(), repetition.as_deref()).unwrap();
    column.close().unwrap();
}
