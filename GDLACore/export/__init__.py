"""From a model's weights to an ONNX file, with numpy alone."""
