//! The exports of the running program.

use js_sys::Object;
use wasm_bindgen::JsCast;

/// The prefixes of exports that wasm-bindgen, its test harness and the compiler add to every program.
const OF_THE_TOOLS: [&str; 3] = ["__", "wasm_bindgen_", "wasmbindgentest"];

/// The names of the exports that do not come from these tools.
pub(crate) fn of_the_face() -> Vec<String> {
    let exports: Object = wasm_bindgen::exports().unchecked_into();
    let names = Object::keys(&exports);
    assert!(names.length() > 0, "the exports can be listed");
    names
        .iter()
        .map(|name| name.as_string().expect("a name"))
        .filter(|name| {
            !OF_THE_TOOLS.iter().any(|prefix| name.starts_with(prefix))
                && !matches!(name.as_str(), "memory" | "main")
        })
        .collect()
}
