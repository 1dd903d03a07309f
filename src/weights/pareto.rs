//! Which of many points no other point beats.

/// Whether `left` is at least as good everywhere and better somewhere.
pub(super) fn dominates(left: &[f64], right: &[f64]) -> bool {
    left.iter().zip(right).all(|(left, right)| left >= right)
        && left.iter().zip(right).any(|(left, right)| left > right)
}

/// The indices of the points that no point dominates, ascending; equal points are in it together.
///
/// In descending lexicographic order a point can be dominated by earlier ones only, and then by one of the front.
pub fn front(points: &[Vec<f64>]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..points.len()).collect();
    let compare = |left: &usize, right: &usize| {
        let values = points[*right].iter().zip(&points[*left]).map(|(right, left)| right.total_cmp(left));
        values.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
    };
    order.sort_by(compare);
    let mut front: Vec<usize> = Vec::new();
    for index in order {
        if !front.iter().any(|other| dominates(&points[*other], &points[index])) {
            front.push(index);
        }
    }
    front.sort_unstable();
    front
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_front_is_what_comparing_all_with_all_leaves(
            // Few distinct values, so that ties and equal points are common.
            points in proptest::collection::vec(proptest::collection::vec((0_u8..5).prop_map(f64::from), 3), 0..60)
        ) {
            let beaten = |one: &Vec<f64>| {
                points.iter().any(|other| {
                    (0..3).all(|k| other[k] >= one[k]) && (0..3).any(|k| other[k] > one[k])
                })
            };
            let left: Vec<usize> = (0..points.len()).filter(|index| !beaten(&points[*index])).collect();
            prop_assert_eq!(front(&points), left);
        }
    }
}
