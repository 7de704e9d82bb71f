/** A native module imported `with { type: "file" }` is the path of its file, inside the executable when compiled. */
declare module "*.node" {
  const path: string;
  export default path;
}
