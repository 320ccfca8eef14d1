export * from "./Assay.client";
export * from "./Assay.events";
export * from "./Assay.types";
export * from "./events";
export * from "./height";
export * from "./pages";
