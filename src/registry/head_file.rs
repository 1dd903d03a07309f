//! One head as a safetensors file: `weights` (width), `bias` (1), `temperature` (1), all f64.

use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};

use crate::error::{Error, Fault, Result};

/// What a head file holds.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredHead {
    /// Weights on the features as they are, `(width)`.
    pub weights: Vec<f64>,
    /// Added to w·h.
    pub bias: f64,
    /// The calibrated score is (w·h + b) / temperature.
    pub temperature: f64,
}

impl StoredHead {
    /// The file's bytes; equal heads give equal bytes.
    ///
    /// # Errors
    /// [`Error::Numeric`] when a number is not finite, [`Error::Io`] when the library refuses a tensor.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        if !self.is_sound() {
            return Err(Error::Numeric(vec![
                Fault::new("head", "a weight, the bias or the temperature is not a usable number")
                    .help("the features or labels of this objective are degenerate; see its audit in the report"),
            ]));
        }
        let little_endian = |values: &[f64]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let (weights, bias, temperature) =
            (little_endian(&self.weights), little_endian(&[self.bias]), little_endian(&[self.temperature]));
        let view = |shape: usize, bytes| TensorView::new(Dtype::F64, vec![shape], bytes);
        let tensors = [
            ("weights", view(self.weights.len(), weights.as_slice())),
            ("bias", view(1, bias.as_slice())),
            ("temperature", view(1, temperature.as_slice())),
        ];
        let unwritable = |error| Error::Io(vec![Fault::new("head", format!("cannot be serialized: {error}"))]);
        let tensors = tensors
            .into_iter()
            .map(|(name, view)| view.map(|view| (name, view)))
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(unwritable)?;
        // No metadata: its order would differ from run to run (see safetensors' hash map), and bytes must not.
        serialize(tensors, None).map_err(unwritable)
    }

    /// Reads a head file; the message says what is wrong with it.
    ///
    /// # Errors
    /// What was found, when the bytes do not hold exactly these tensors or a number is unusable.
    pub fn from_bytes(bytes: &[u8], width: usize) -> Result<Self, String> {
        let file = SafeTensors::deserialize(bytes).map_err(|error| format!("not a safetensors file: {error}"))?;
        let mut names = file.names();
        names.sort_unstable();
        if names != ["bias", "temperature", "weights"] {
            return Err(format!("holds tensors {names:?}; a head has bias, temperature and weights"));
        }
        let values = |name: &str, length: usize| -> Result<Vec<f64>, String> {
            let tensor = file.tensor(name).map_err(|error| error.to_string())?;
            if tensor.dtype() != Dtype::F64 || tensor.shape() != [length] {
                let (found, shape) = (tensor.dtype(), tensor.shape());
                return Err(format!("{name} is {found:?} {shape:?}; the backbone asks for F64 [{length}]"));
            }
            let number = |bytes: &[u8]| bytes.try_into().map_or(f64::NAN, f64::from_le_bytes);
            Ok(tensor.data().chunks_exact(8).map(number).collect())
        };
        let head = Self {
            weights: values("weights", width)?,
            bias: values("bias", 1)?[0],
            temperature: values("temperature", 1)?[0],
        };
        if head.is_sound() { Ok(head) } else { Err("holds a number that is not usable".to_owned()) }
    }

    fn is_sound(&self) -> bool {
        self.weights.iter().chain([&self.bias]).all(|value| value.is_finite())
            && self.temperature.is_finite()
            && self.temperature > 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> StoredHead {
        StoredHead { weights: vec![0.1, -2.5, 1e-300], bias: 0.25, temperature: 1.5 }
    }

    #[test]
    fn bytes_come_back_as_the_same_head() {
        let bytes = head().to_bytes().expect("sound");
        assert_eq!(StoredHead::from_bytes(&bytes, 3), Ok(head()));
        assert_eq!(bytes, head().to_bytes().expect("sound"));
    }

    #[test]
    fn unusable_heads_are_refused_both_ways() {
        assert!(StoredHead { temperature: 0.0, ..head() }.to_bytes().is_err());
        assert!(StoredHead { bias: f64::NAN, ..head() }.to_bytes().is_err());
        let bytes = head().to_bytes().expect("sound");
        assert!(StoredHead::from_bytes(&bytes, 4).expect_err("another width").contains("F64 [4]"));
        (0..bytes.len()).for_each(|cut| assert!(StoredHead::from_bytes(&bytes[..cut], 3).is_err()));
    }
}
