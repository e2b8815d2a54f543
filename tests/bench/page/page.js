import { kernels } from "./kernels.js";
import { profile } from "./profile.js";

window.bench = { kernels, profile };
window.ready = true;
