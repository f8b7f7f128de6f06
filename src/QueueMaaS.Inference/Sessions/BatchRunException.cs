namespace QueueMaaS.Inference.Sessions;

/// <summary>The computation of several members failed; the text is ONNX Runtime's own, and for no caller, who hears of the failing member's own run.</summary>
internal sealed class BatchRunException(string text, Exception innerException) : Exception(text, innerException);
