import test from "node:test";
import { fuzzCodes } from "../fuzz.js";

test("a code is a state that comes back unchanged, or is told", () => fuzzCodes(2000, 0));
