//! Rows in tiles: where each number stands, and what becomes of it when rows change their shape.

use proptest::prelude::*;

use crate::backbone::packed::kernels::{Lane, available};
use crate::backbone::packed::lanes;
use crate::backbone::packed::rows::{Rows, place};

/// Rows whose lanes tell row and lane.
fn marked(count: usize, lanes: usize, height: usize) -> Rows {
    let mut rows = Rows::default();
    rows.reshape(count, lanes, height);
    for row in 0..count {
        for lane in 0..lanes {
            *rows.lane_mut(row, lane) = Lane([(row * 100 + lane) as f32; 16]);
        }
    }
    rows
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn every_lane_has_a_place_of_its_own(count in 1_usize..50, lanes in 1_usize..7) {
        fn check<const M: usize>(count: usize, lanes: usize) -> Result<(), TestCaseError> {
            let rows = marked(count, lanes, M);
            prop_assert_eq!(rows.lanes(), lanes);
            prop_assert_eq!(rows.tiles().len(), count.div_ceil(M) * M * lanes);
            for row in 0..count {
                for lane in 0..lanes {
                    let mark = Lane([(row * 100 + lane) as f32; 16]);
                    prop_assert_eq!(rows.lane(row, lane), &mark);
                    prop_assert_eq!(&rows.tiles()[place::<M>(lanes, row, lane)], &mark);
                    // (tiles, lanes, height), by counting.
                    let before = row / M * M * lanes + lane * M + row % M;
                    prop_assert_eq!(&rows.tiles()[before], &mark);
                }
            }
            Ok(())
        }
        check::<1>(count, lanes)?;
        check::<2>(count, lanes)?;
        check::<6>(count, lanes)?;
        check::<14>(count, lanes)?;
    }

    #[test]
    fn copies_are_equal_and_likenesses_have_as_many_tiles(count in 0_usize..50, wide in 1_usize..7, height in 1_usize..15) {
        let rows = marked(count, wide, height);
        let mut other = marked(7, 3, 2);
        other.copy(&rows);
        prop_assert_eq!((other.lanes(), other.tiles()), (wide, rows.tiles()));
        other.like(&rows, wide + 2);
        prop_assert_eq!(other.lanes(), wide + 2);
        prop_assert_eq!(other.tiles().len() * wide, rows.tiles().len() * (wide + 2));
        if count > 0 {
            *other.lane_mut(count - 1, wide + 1) = Lane([5.0; 16]);
            prop_assert_eq!(other.lane(count - 1, wide + 1), &Lane([5.0; 16]));
        }
    }

    #[test]
    fn lanes_hold_all_numbers_and_then_zeros(numbers in proptest::collection::vec(-9_f32..9.0, 0..50)) {
        let lanes: Vec<f32> = lanes(&numbers).iter().flat_map(|lane| lane.0).collect();
        prop_assert_eq!(lanes.len(), numbers.len().next_multiple_of(16));
        prop_assert_eq!(&lanes[..numbers.len()], &numbers[..]);
        prop_assert!(lanes[numbers.len()..].iter().all(|number| *number == 0.0));
    }

    #[test]
    fn sums_are_those_of_each_number(left in proptest::collection::vec(-9_f32..9.0, 48), right in proptest::collection::vec(-9_f32..9.0, 48)) {
        for kernel in available() {
            let mut sums = lanes(&left);
            kernel.add(&mut sums, &lanes(&right));
            let truth: Vec<f32> = left.iter().zip(&right).map(|(left, right)| left + right).collect();
            prop_assert_eq!(sums, lanes(&truth));
        }
    }
}
