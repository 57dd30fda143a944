import js from "@eslint/js";

const browser = [
  "AbortController", "Blob", "DecompressionStream", "DragEvent", "Element", "Event", "File", "HTMLButtonElement", "HTMLCanvasElement",
  "HTMLElement", "Image", "ImageData", "MediaRecorder", "MouseEvent", "MutationObserver", "Node", "OffscreenCanvas", "PointerEvent", "Response",
  "TextDecoder", "TextEncoder", "URL", "Worker", "addEventListener", "atob", "btoa", "caches", "clearTimeout", "console",
  "createImageBitmap", "document", "fetch", "getComputedStyle", "globalThis", "history", "location", "navigator", "onmessage", "performance", "postMessage", "queueMicrotask",
  "removeEventListener", "requestAnimationFrame", "self", "setTimeout", "structuredClone", "window", "ReadableStream",
];
const node = ["Buffer", "process"];
const globals = Object.fromEntries([...browser, ...node].map((name) => [name, "readonly"]));

export default [
  js.configs.recommended,
  {
    languageOptions: { ecmaVersion: 2024, sourceType: "module", globals },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      "no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      "prefer-const": "error",
      "no-var": "error",
      eqeqeq: "error",
      "preserve-caught-error": "off",
      "no-shadow": ["error", { hoist: "functions" }],
      "no-implicit-globals": "error",
      "no-use-before-define": ["error", { functions: false, variables: false }],
    },
  },
];
