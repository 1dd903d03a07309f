//! What a registry keeps of a head, or of the training texts: named arrays of f64 in a safetensors file.
//!
//! What the names mean is for those who score; here every number is finite and equal arrays give equal bytes.

use std::collections::BTreeMap;

use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};

use crate::error::{Error, Fault, Result};

/// An array of numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its numbers, row-major.
    pub values: Vec<f64>,
}

/// Named arrays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arrays(BTreeMap<String, Array>);

impl Arrays {
    /// Adds a list of numbers.
    pub fn list(&mut self, name: &str, values: Vec<f64>) {
        self.0.insert(name.to_owned(), Array { shape: vec![values.len()], values });
    }

    /// Adds a matrix of `columns` columns, row-major.
    pub fn matrix(&mut self, name: &str, columns: usize, values: Vec<f64>) {
        let rows = values.len() / columns.max(1);
        self.0.insert(name.to_owned(), Array { shape: vec![rows, columns], values });
    }

    /// Adds one number.
    pub fn number(&mut self, name: &str, value: f64) {
        self.list(name, vec![value]);
    }

    /// Whether there is an array of this name.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Takes a list out; `length` is what the backbone or another array asks for, `None` for any.
    ///
    /// # Errors
    /// What was found, when it is missing or of another shape.
    pub fn take_list(&mut self, name: &str, length: Option<usize>) -> Result<Vec<f64>, String> {
        let array = self.take(name)?;
        match (array.shape.as_slice(), length) {
            (&[found], Some(length)) if found != length => {
                Err(format!("{name} has {found} numbers; {length} are needed"))
            }
            (&[_], _) => Ok(array.values),
            (shape, _) => Err(format!("{name} has the shape {shape:?}; a list is needed")),
        }
    }

    /// Takes a matrix of `columns` columns out.
    ///
    /// # Errors
    /// What was found, when it is missing or of another shape.
    pub fn take_matrix(&mut self, name: &str, columns: usize) -> Result<Vec<f64>, String> {
        let array = self.take(name)?;
        match array.shape.as_slice() {
            &[_, found] if found == columns => Ok(array.values),
            shape => Err(format!("{name} has the shape {shape:?}; rows of {columns} are needed")),
        }
    }

    /// Takes one number out.
    ///
    /// # Errors
    /// What was found, when it is missing or not one number.
    pub fn take_number(&mut self, name: &str) -> Result<f64, String> {
        self.take_list(name, Some(1)).map(|values| values[0])
    }

    /// Makes sure that nothing is left.
    ///
    /// # Errors
    /// The names of arrays that nobody took.
    pub fn done(self) -> Result<(), String> {
        let names: Vec<&String> = self.0.keys().collect();
        if names.is_empty() { Ok(()) } else { Err(format!("holds arrays that are not known: {names:?}")) }
    }

    fn take(&mut self, name: &str) -> Result<Array, String> {
        let names = || self.0.keys().cloned().collect::<Vec<String>>().join(", ");
        let missing = format!("has no array {name}; it has {}", names());
        self.0.remove(name).ok_or(missing)
    }

    /// The file's bytes; equal arrays give equal bytes.
    ///
    /// # Errors
    /// [`Error::Numeric`] when a number is not finite, [`Error::Io`] when the library refuses an array.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        if let Some((name, _)) = self.0.iter().find(|(_, array)| !array.values.iter().all(|value| value.is_finite())) {
            return Err(Error::Numeric(vec![
                Fault::new("head", format!("a number of {name} is not finite"))
                    .help("the features or labels of this objective are degenerate; see its audit in the report"),
            ]));
        }
        let little_endian = |values: &[f64]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let bytes: Vec<Vec<u8>> = self.0.values().map(|array| little_endian(&array.values)).collect();
        let unwritable = |error| Error::Io(vec![Fault::new("head", format!("cannot be serialized: {error}"))]);
        let tensors = self
            .0
            .iter()
            .zip(&bytes)
            .map(|((name, array), bytes)| Ok((name, TensorView::new(Dtype::F64, array.shape.clone(), bytes)?)))
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(unwritable)?;
        // No metadata: its order would differ from run to run (see safetensors' hash map), and bytes must not.
        serialize(tensors, None).map_err(unwritable)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// What was found, when the bytes are no arrays of finite f64.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let file = SafeTensors::deserialize(bytes).map_err(|error| format!("not a safetensors file: {error}"))?;
        let mut arrays = BTreeMap::new();
        for (name, tensor) in file.tensors() {
            if tensor.dtype() != Dtype::F64 {
                return Err(format!("{name} is {:?}; F64 is needed", tensor.dtype()));
            }
            let number = |bytes: &[u8]| bytes.try_into().map_or(f64::NAN, f64::from_le_bytes);
            let values: Vec<f64> = tensor.data().chunks_exact(8).map(number).collect();
            if !values.iter().all(|value| value.is_finite()) {
                return Err(format!("{name} holds a number that is not finite"));
            }
            arrays.insert(name, Array { shape: tensor.shape().to_vec(), values });
        }
        Ok(Self(arrays))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrays() -> Arrays {
        let mut arrays = Arrays::default();
        arrays.list("weights", vec![0.1, -2.5, 1e-300]);
        arrays.number("bias", 0.25);
        arrays.matrix("forbidden", 3, vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
        arrays
    }

    #[test]
    fn bytes_come_back_as_the_same_arrays() {
        let bytes = arrays().to_bytes().expect("finite");
        assert_eq!(Arrays::from_bytes(&bytes), Ok(arrays()));
        assert_eq!(bytes, arrays().to_bytes().expect("finite"));
        let mut back = Arrays::from_bytes(&bytes).expect("whole");
        assert_eq!(back.take_list("weights", Some(3)), Ok(vec![0.1, -2.5, 1e-300]));
        assert_eq!(back.take_number("bias"), Ok(0.25));
        assert!(back.clone().done().expect_err("a matrix is left").contains("forbidden"));
        assert_eq!(back.take_matrix("forbidden", 3).map(|values| values.len()), Ok(6));
        assert_eq!(back.done(), Ok(()));
    }

    #[test]
    fn unusable_arrays_are_refused_both_ways() {
        let mut bad = arrays();
        bad.number("bias", f64::NAN);
        assert!(bad.to_bytes().is_err());
        let bytes = arrays().to_bytes().expect("finite");
        let mut back = Arrays::from_bytes(&bytes).expect("whole");
        assert!(back.take_list("weights", Some(4)).expect_err("another width").contains("4 are needed"));
        assert!(back.take_number("temperature").expect_err("missing").contains("it has bias, forbidden"));
        assert!(back.take_matrix("bias", 3).is_err());
        (0..bytes.len()).for_each(|cut| assert!(Arrays::from_bytes(&bytes[..cut]).is_err()));
    }
}
