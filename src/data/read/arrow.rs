//! Arrow arrays as JSON values: lists are lists, structs are objects, dates and times are text.
//!
//! Arrow cannot say that a field is absent, only that it is null; so a null field of a struct is left out, while a
//! null in a list keeps its place. What is neither text nor a number (pictures) is read as null.

use polars_arrow::array::{
    Array, BinaryViewArray, BooleanArray, DictionaryArray, DictionaryKey, FixedSizeListArray, ListArray, NullArray,
    PrimitiveArray, StructArray, Utf8Array, Utf8ViewArray, get_display,
};
use polars_arrow::datatypes::ArrowDataType;
use polars_arrow::match_integer_type;
use polars_arrow::offset::Offset;
use polars_arrow::types::NativeType;
use serde_json::{Map, Number, Value};

/// The values of an array, one for each of its rows.
///
/// # Errors
/// What about the array contradicts itself.
pub(super) fn values(array: &dyn Array) -> Result<Vec<Value>, String> {
    use ArrowDataType as Type;
    match array.dtype() {
        Type::Null => Ok(vec![Value::Null; downcast::<NullArray>(array)?.len()]),
        Type::Boolean => Ok(downcast::<BooleanArray>(array)?.iter().map(Value::from).collect()),
        Type::Int8 => numbers::<i8>(array, Value::from),
        Type::Int16 => numbers::<i16>(array, Value::from),
        Type::Int32 => numbers::<i32>(array, Value::from),
        Type::Int64 => numbers::<i64>(array, Value::from),
        Type::UInt8 => numbers::<u8>(array, Value::from),
        Type::UInt16 => numbers::<u16>(array, Value::from),
        Type::UInt32 => numbers::<u32>(array, Value::from),
        Type::UInt64 => numbers::<u64>(array, Value::from),
        Type::Float32 => numbers(array, |value: f32| float(shortest(value))),
        Type::Float64 => numbers(array, float),
        Type::Utf8View => Ok(downcast::<Utf8ViewArray>(array)?.iter().map(Value::from).collect()),
        Type::Utf8 => Ok(downcast::<Utf8Array<i32>>(array)?.iter().map(Value::from).collect()),
        Type::LargeUtf8 => Ok(downcast::<Utf8Array<i64>>(array)?.iter().map(Value::from).collect()),
        Type::BinaryView => Ok(downcast::<BinaryViewArray>(array)?.iter().map(text).collect()),
        Type::List(_) => lists(downcast::<ListArray<i32>>(array)?),
        Type::LargeList(_) => lists(downcast::<ListArray<i64>>(array)?),
        Type::FixedSizeList(_, width) => {
            let array = downcast::<FixedSizeListArray>(array)?;
            let inner = values(array.values().as_ref())?;
            let list = |row: usize| inner.iter().skip(row * width).take(*width).cloned().collect();
            Ok((0..array.len())
                .map(|row| if array.is_null(row) { Value::Null } else { Value::Array(list(row)) })
                .collect())
        }
        Type::Struct(_) => structs(downcast::<StructArray>(array)?),
        Type::Dictionary(keys, ..) => {
            match_integer_type!(keys, |$T| dictionary(downcast::<DictionaryArray<$T>>(array)?))
        }
        Type::Extension(extension) => {
            let mut inner = array.to_boxed();
            *inner.dtype_mut() = extension.inner.clone();
            values(inner.as_ref())
        }
        Type::Date32
        | Type::Date64
        | Type::Timestamp(..)
        | Type::Time32(_)
        | Type::Time64(_)
        | Type::Duration(_)
        | Type::Decimal(..)
        | Type::Decimal256(..) => displayed(array),
        // Pictures and the like: no format of preferences has them, and a file may have them beside what is needed.
        _ => Ok(vec![Value::Null; array.len()]),
    }
}

fn downcast<T: 'static>(array: &dyn Array) -> Result<&T, String> {
    array.as_any().downcast_ref().ok_or_else(|| format!("its type is not {:?} as it says", array.dtype()))
}

fn numbers<T: NativeType>(array: &dyn Array, value: impl Fn(T) -> Value) -> Result<Vec<Value>, String> {
    Ok(downcast::<PrimitiveArray<T>>(array)?.iter().map(|number| number.map_or(Value::Null, |n| value(*n))).collect())
}

/// JSON has no word for NaN and infinity; tables write a missing number as NaN.
fn float(value: f64) -> Value {
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

/// The f64 whose decimal form is the shortest that names this f32: 0.1 and not 0.10000000149.
fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

/// Bytes that are text; other bytes are left out.
fn text(bytes: Option<&[u8]>) -> Value {
    bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()).map_or(Value::Null, Value::from)
}

fn lists<O: Offset>(array: &ListArray<O>) -> Result<Vec<Value>, String> {
    let mut lists = Vec::with_capacity(array.len());
    for list in array {
        lists.push(match list {
            Some(list) => Value::Array(values(list.as_ref())?),
            None => Value::Null,
        });
    }
    Ok(lists)
}

fn structs(array: &StructArray) -> Result<Vec<Value>, String> {
    let mut objects: Vec<Map<String, Value>> = vec![Map::new(); array.len()];
    for (field, column) in array.fields().iter().zip(array.values()) {
        for (object, value) in objects.iter_mut().zip(values(column.as_ref())?).filter(|(_, value)| !value.is_null()) {
            object.insert(field.name.to_string(), value);
        }
    }
    let value = |(row, object)| if array.is_null(row) { Value::Null } else { Value::Object(object) };
    Ok(objects.into_iter().enumerate().map(value).collect())
}

fn dictionary<K: DictionaryKey>(array: &DictionaryArray<K>) -> Result<Vec<Value>, String> {
    let words = values(array.values().as_ref())?;
    let word = |row| {
        if array.is_null(row) { Value::Null } else { words.get(array.key_value(row)).cloned().unwrap_or_default() }
    };
    Ok((0..array.len()).map(word).collect())
}

/// What is shown as text: dates, times, exact decimals.
fn displayed(array: &dyn Array) -> Result<Vec<Value>, String> {
    let display = get_display::<String>(array, "");
    let mut shown = Vec::with_capacity(array.len());
    for row in 0..array.len() {
        let mut text = String::new();
        display(&mut text, row).map_err(|_| "it holds a date or a number out of range".to_owned())?;
        shown.push(if array.is_null(row) { Value::Null } else { Value::from(text) });
    }
    Ok(shown)
}
