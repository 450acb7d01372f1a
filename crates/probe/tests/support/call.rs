//! Raw system calls, 64-bit and 32-bit.

/// An argument: a number, or the address of bytes that live as long as the value.
pub enum Arg<'a> {
    N(i64),
    P(&'a [u8]),
}

impl Arg<'_> {
    fn value(&self) -> i64 {
        match self {
            Arg::N(n) => *n,
            Arg::P(bytes) => bytes.as_ptr() as i64,
        }
    }
}

/// Makes a system call; a failed one gives the negative error number.
pub fn call(number: libc::c_long, args: &[Arg<'_>]) -> i64 {
    // without the heap, for children that were made by the bare call
    let a: [i64; 6] = std::array::from_fn(|i| args.get(i).map_or(0, Arg::value));
    // SAFETY: the tests pass pointers to live buffers of the size that the call expects, or bad ones on purpose
    // where the kernel answers with an error; no call here takes memory away from Rust.
    let result = unsafe { libc::syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]) };
    match result {
        -1 => -i64::from(std::io::Error::last_os_error().raw_os_error().unwrap_or(0)),
        other => other,
    }
}

/// This thread's id.
pub fn gettid() -> i64 {
    call(libc::SYS_gettid, &[])
}

/// A child that runs the program whose path stands at an address; it has the parent's memory until then, and so touches none of it.
#[cfg(target_arch = "x86_64")]
pub fn vfork_and_run(program: i64, args: &[u8]) -> i64 {
    let result: i64;
    // SAFETY: the child makes two calls by registers alone and never leaves this piece of code, so that the parent,
    // which sleeps until then, finds its stack as it was.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "mov eax, {execve}",
            "syscall",
            "mov edi, 1",
            "mov eax, {exit}",
            "syscall",
            "2:",
            execve = const libc::SYS_execve,
            exit = const libc::SYS_exit,
            inout("rax") libc::SYS_vfork => result,
            inout("rdi") program => _,
            in("rsi") args.as_ptr(),
            in("rdx") 0,
            out("rcx") _,
            out("r11") _,
        );
    }
    result
}

/// Memory below 4 GiB, where a 32-bit call can reach it.
#[cfg(target_arch = "x86_64")]
pub struct Low(*mut u8);

#[cfg(target_arch = "x86_64")]
impl Low {
    /// A page with `bytes` at its start.
    pub fn new(bytes: &[u8]) -> Low {
        assert!(bytes.len() <= 4096);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT;
        // SAFETY: a fresh anonymous mapping; the copy stays within its one page.
        unsafe {
            let at = libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
            assert_ne!(at, libc::MAP_FAILED);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), at.cast(), bytes.len());
            Low(at.cast())
        }
    }

    /// Its address.
    pub fn at(&self) -> u32 {
        self.0 as usize as u32
    }

    /// A byte of it that several threads write.
    pub fn byte(&self, place: usize) -> &std::sync::atomic::AtomicU8 {
        assert!(place < 4096);
        // SAFETY: it lies in the page, which lives as long as the value, and is only ever touched as an atomic.
        unsafe { std::sync::atomic::AtomicU8::from_ptr(self.0.add(place)) }
    }
}

#[cfg(target_arch = "x86_64")]
impl Drop for Low {
    fn drop(&mut self) {
        // SAFETY: the mapping that `new` made, of which no reference was given out.
        unsafe { libc::munmap(self.0.cast(), 4096) };
    }
}

/// Makes a 32-bit system call from this 64-bit process.
#[cfg(target_arch = "x86_64")]
pub fn call32(number: u32, args: [u32; 4]) -> i32 {
    let result: u64;
    // SAFETY: `int 0x80` enters the kernel by the 32-bit gate, which saves all registers but the result's and
    // r8 to r11; rbx is LLVM's own and is put back.
    unsafe {
        std::arch::asm!(
            "push rbx",
            "mov ebx, {first:e}",
            "int 0x80",
            "pop rbx",
            first = in(reg) args[0],
            inout("rax") u64::from(number) => result,
            in("ecx") args[1],
            in("edx") args[2],
            in("esi") args[3],
            out("r8") _,
            out("r9") _,
            out("r10") _,
            out("r11") _,
        );
    }
    result as i32
}
