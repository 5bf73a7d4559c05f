//! A sandbox in which the kernel stamps nothing.

use std::collections::BTreeMap;

use nix::libc::{ENOPROTOOPT, SO_TIMESTAMPNS, SOL_SOCKET, SYS_setsockopt};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};

/// Runs `what`, and the processes that it starts, where `SO_TIMESTAMPNS` is refused, as gVisor does.
pub(crate) fn without_kernel_stamps<T: Send>(what: impl FnOnce() -> T + Send) -> T {
    let sandboxed = || {
        apply_filter(&filter()).unwrap();
        what()
    };
    std::thread::scope(|scope| scope.spawn(sandboxed).join().unwrap())
}

fn filter() -> BpfProgram {
    let argument = |index, value: i32| {
        let length = SeccompCmpArgLen::Dword;
        SeccompCondition::new(index, length, SeccompCmpOp::Eq, value as u64).unwrap()
    };
    let stamps = SeccompRule::new(vec![argument(1, SOL_SOCKET), argument(2, SO_TIMESTAMPNS)]);
    let refused = SeccompAction::Errno(ENOPROTOOPT as u32);
    let rules = BTreeMap::from([(SYS_setsockopt, vec![stamps.unwrap()])]);
    let arch = std::env::consts::ARCH.try_into().unwrap();
    SeccompFilter::new(rules, SeccompAction::Allow, refused, arch).unwrap().try_into().unwrap()
}
