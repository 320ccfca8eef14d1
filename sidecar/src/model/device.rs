//! Where the model runs: the configured wish, and the device that was really opened.

use std::ffi::{c_char, c_int, c_void, CStr, CString};
use std::fmt;
use std::str::FromStr;

use tch::Device;

/// The one way to switch TF32 on that this process does not control; torch's own default is off.
const TF32: &str = "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE";

/// Why a device cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    #[error("device `{found}` is not one of `cpu`, `cuda:N`, `auto`")]
    Name { found: String },
    #[error("device cuda:{ordinal} was asked for, but this libtorch has no CUDA: {reason}")]
    NoCuda { ordinal: usize, reason: String },
    #[error(
        "{TF32} is set: with it torch multiplies f32 matrices in TF32, which no scheme allows; unset it"
    )]
    Tf32,
    #[error("device cuda:{ordinal} was asked for, but torch sees {found} GPUs")]
    NoSuchGpu { ordinal: usize, found: usize },
}

/// The device as configured: `cpu`, `cuda:N`, or `auto` (the first GPU, else the CPU, and the description
/// says which).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceChoice {
    Cpu,
    Cuda(usize),
    Auto,
}

impl FromStr for DeviceChoice {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        let unknown = || DeviceError::Name { found: text.to_owned() };
        match text {
            "cpu" => Ok(DeviceChoice::Cpu),
            "auto" => Ok(DeviceChoice::Auto),
            _ => {
                let ordinal = text.strip_prefix("cuda:").ok_or_else(unknown)?;
                ordinal.parse().map(DeviceChoice::Cuda).map_err(|_| unknown())
            }
        }
    }
}

impl TryFrom<String> for DeviceChoice {
    type Error = DeviceError;

    fn try_from(text: String) -> Result<Self, DeviceError> {
        text.parse()
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceChoice::Cpu => f.write_str("cpu"),
            DeviceChoice::Cuda(ordinal) => write!(f, "cuda:{ordinal}"),
            DeviceChoice::Auto => f.write_str("auto"),
        }
    }
}

impl From<DeviceChoice> for String {
    fn from(choice: DeviceChoice) -> Self {
        choice.to_string()
    }
}

impl DeviceChoice {
    /// The torch device for this choice.
    ///
    /// # Errors
    /// A GPU that was named and is not there. `auto` alone may end on the CPU.
    pub fn open(self) -> Result<Device, DeviceError> {
        match self {
            DeviceChoice::Cpu => Ok(Device::Cpu),
            DeviceChoice::Cuda(ordinal) => open_cuda(ordinal),
            DeviceChoice::Auto => Ok(open_cuda(0).unwrap_or(Device::Cpu)),
        }
    }
}

fn open_cuda(ordinal: usize) -> Result<Device, DeviceError> {
    if std::env::var_os(TF32).is_some() {
        return Err(DeviceError::Tf32);
    }
    load_cuda_library().map_err(|reason| DeviceError::NoCuda { ordinal, reason })?;
    if !tch::utils::has_cuda() {
        let reason = "torch reports no CUDA driver or no GPU".to_owned();
        return Err(DeviceError::NoCuda { ordinal, reason });
    }
    let found = usize::try_from(tch::Cuda::device_count()).unwrap_or(0);
    if ordinal >= found {
        return Err(DeviceError::NoSuchGpu { ordinal, found });
    }
    Ok(Device::Cuda(ordinal))
}

/// Brings `libtorch_cuda.so` into the process, which registers the CUDA backend.
///
/// The linker drops it (`--as-needed`: no symbol of it is named), and then torch runs on the CPU without a
/// word. Must come before the first `tch::Cuda` call.
fn load_cuda_library() -> Result<(), String> {
    open_library("libtorch_cuda.so", libc::RTLD_NOW | libc::RTLD_GLOBAL).map(|_| ())
}

fn open_library(name: &str, flags: c_int) -> Result<*mut c_void, String> {
    let name = CString::new(name).map_err(|error| error.to_string())?;
    // SAFETY: the name is NUL-terminated; loading runs the library's initialisers, which torch expects of its
    // own parts.
    let handle = unsafe { libc::dlopen(name.as_ptr(), flags) };
    if !handle.is_null() {
        return Ok(handle);
    }
    // SAFETY: dlerror returns null or a NUL-terminated string that lives until the next call on this thread.
    let message = unsafe {
        let message = libc::dlerror();
        if message.is_null() {
            None
        } else {
            Some(CStr::from_ptr(message).to_string_lossy().into_owned())
        }
    };
    Err(message.unwrap_or_else(|| "dlopen failed without a message".to_owned()))
}

/// One line for logs and `doctor`, such as `cpu (2 threads)` or `cuda:0 (NVIDIA H100 80GB HBM3)`.
pub fn describe(device: Device) -> String {
    match device {
        Device::Cpu => format!("cpu ({} threads)", tch::get_num_threads()),
        Device::Cuda(ordinal) => {
            let name = gpu_name(ordinal).unwrap_or_else(|| "name unknown".to_owned());
            format!("cuda:{ordinal} ({name})")
        }
        other => format!("{other:?}"),
    }
}

/// The kind of hardware, whose members compute alike: "cpu", or a GPU's name.
pub fn kind(device: Device) -> String {
    match device {
        Device::Cpu => "cpu".to_owned(),
        Device::Cuda(ordinal) => gpu_name(ordinal).unwrap_or_else(|| "cuda, name unknown".to_owned()),
        other => format!("{other:?}"),
    }
}

/// The driver's name of a GPU that torch has already initialised.
fn gpu_name(ordinal: usize) -> Option<String> {
    type GetDevice = unsafe extern "C" fn(*mut c_int, c_int) -> c_int;
    type GetName = unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int;
    let driver = open_library("libcuda.so.1", libc::RTLD_NOW).ok()?;
    let ordinal = c_int::try_from(ordinal).ok()?;
    let mut device: c_int = 0;
    let mut name = [0u8; 256];
    // SAFETY: both symbols have these signatures in every CUDA driver; the buffer's length, less a final NUL,
    // is passed.
    let status = unsafe {
        let get_device = libc::dlsym(driver, c"cuDeviceGet".as_ptr());
        let get_name = libc::dlsym(driver, c"cuDeviceGetName".as_ptr());
        if get_device.is_null() || get_name.is_null() {
            return None;
        }
        let get_device: GetDevice = std::mem::transmute(get_device);
        let get_name: GetName = std::mem::transmute(get_name);
        match get_device(&mut device, ordinal) {
            0 => get_name(name.as_mut_ptr().cast(), 255, device),
            failed => failed,
        }
    };
    if status != 0 {
        return None;
    }
    CStr::from_bytes_until_nul(&name).ok().map(|name| name.to_string_lossy().into_owned())
}
