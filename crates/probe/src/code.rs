//! Programs that are too small for a file of their own, instruction by instruction (layout and opcodes: the kernel's
//! Documentation/bpf/standardization/instruction-set.rst).

use std::os::fd::{AsRawFd, BorrowedFd};

const LOAD_64: u8 = 0x18;
const STORE_64: u8 = 0x7a;
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;
const MOVE: u8 = 0xb7;
const MOVE_REGISTER: u8 = 0xbf;

/// The second register of a load that means: a map.
const MAP: u8 = 1;
/// And the one that means: the address of a map's value.
const MAP_VALUE: u8 = 2;

/// `enum bpf_func_id`.
const TAIL_CALL: i32 = 12;
const GET_CURRENT_TASK_BTF: i32 = 158;
const TASK_PT_REGS: i32 = 175;

const fn instruction(code: u8, to: u8, from: u8, immediate: i32) -> u64 {
    code as u64 | (to as u64) << 8 | (from as u64) << 12 | (immediate as u32 as u64) << 32
}

/// Leaves a mark in a map, if there is one, and returns `result`.
fn mark(map: Option<BorrowedFd<'_>>, result: i32) -> Vec<u64> {
    let mut code = Vec::new();
    if let Some(map) = map {
        code.push(instruction(LOAD_64, 1, MAP_VALUE, map.as_raw_fd()));
        code.push(0);
        code.push(instruction(STORE_64, 1, 0, 1));
    }
    code.extend([instruction(MOVE, 0, 0, result), instruction(EXIT, 0, 0, 0)]);
    code
}

/// Marks and returns 0: for a hook, that nothing is forbidden.
pub fn zero(map: Option<BorrowedFd<'_>>) -> Vec<u64> {
    mark(map, 0)
}

/// Marks and returns 1: for a cgroup, that all is allowed.
pub fn one(map: Option<BorrowedFd<'_>>) -> Vec<u64> {
    mark(map, 1)
}

/// Asks for the registers of the running thread.
pub fn registers(_: Option<BorrowedFd<'_>>) -> Vec<u64> {
    vec![
        instruction(CALL, 0, 0, GET_CURRENT_TASK_BTF),
        instruction(MOVE_REGISTER, 1, 0, 0),
        instruction(CALL, 0, 0, TASK_PT_REGS),
        instruction(MOVE, 0, 0, 0),
        instruction(EXIT, 0, 0, 0),
    ]
}

/// Goes on in the program at `index` of a map of programs, if there is one.
pub fn call(programs: BorrowedFd<'_>, index: u32) -> Vec<u64> {
    vec![
        instruction(LOAD_64, 2, MAP, programs.as_raw_fd()),
        0,
        instruction(MOVE, 3, 0, index as i32),
        instruction(CALL, 0, 0, TAIL_CALL),
        instruction(MOVE, 0, 0, 0),
        instruction(EXIT, 0, 0, 0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_have_the_kernels_layout() {
        assert_eq!(instruction(MOVE, 0, 0, 1).to_le_bytes(), [0xb7, 0, 0, 0, 1, 0, 0, 0]);
        assert_eq!(
            instruction(LOAD_64, 1, MAP_VALUE, -1).to_le_bytes(),
            [0x18, 0x21, 0, 0, 255, 255, 255, 255]
        );
    }
}
