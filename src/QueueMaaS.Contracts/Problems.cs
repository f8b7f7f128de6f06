using System.Text.Json;

namespace QueueMaaS.Contracts;

/// <summary>Why something was refused or failed. <c>code</c> is stable and meant for programs; <c>message</c> is one or two sentences for people.</summary>
/// <param name="Code">A stable word from <see cref="ProblemCodes"/>, such as <c>model_not_found</c>.</param>
/// <param name="Message">What is wrong, where, and what to do about it.</param>
/// <param name="Details">Facts for programs: names, limits, positions. Never a stack trace or a secret.</param>
public sealed record Problem(string Code, string Message, IReadOnlyDictionary<string, JsonElement>? Details = null)
{
    /// <summary>Builds a problem with details given as plain values.</summary>
    public static Problem Create(string code, string message, params (string Key, object? Value)[] details) =>
        new(code, message, details.Length == 0
            ? null
            : details.ToDictionary(d => d.Key, d => JsonSerializer.SerializeToElement(d.Value, QueueMaaSJson.Relaxed)));
}

/// <summary>Thrown where a request or job cannot go on for a reason that the user can be told. Anything else that is thrown is our fault and shown as <c>internal_error</c>.</summary>
public sealed class ProblemException : Exception
{
    /// <summary>Wraps <paramref name="problem"/>.</summary>
    public ProblemException(Problem problem, Exception? innerException = null)
        : base(problem.Message, innerException) => Problem = problem;

    /// <summary>Builds the problem in place.</summary>
    public ProblemException(string code, string message, params (string Key, object? Value)[] details)
        : this(Problem.Create(code, message, details))
    {
    }

    /// <summary>What to tell the user.</summary>
    public Problem Problem { get; }

    /// <summary>True where trying the same job again can help (a part was unreachable), false where the input itself is at fault. Default false.</summary>
    public bool IsTransient { get; init; }
}

/// <summary>Every <see cref="Problem.Code"/> there is. Codes are added, never renamed.</summary>
public static class ProblemCodes
{
    /// <summary>The message or body is not JSON, or not of the documented shape.</summary>
    public const string InvalidRequest = "invalid_request";
    /// <summary>A member of the JSON is not part of the contract.</summary>
    public const string UnknownField = "unknown_field";
    /// <summary>A member has a value outside its range.</summary>
    public const string InvalidValue = "invalid_value";
    /// <summary>The body is larger than the configured limit.</summary>
    public const string TooLarge = "too_large";
    /// <summary>The body is compressed in a way that this route does not read.</summary>
    public const string UnsupportedEncoding = "unsupported_encoding";
    /// <summary>No job has this id.</summary>
    public const string JobNotFound = "job_not_found";
    /// <summary>The job's state does not allow what was asked.</summary>
    public const string JobStateConflict = "job_state_conflict";
    /// <summary>The idempotency key or job id was used before with another body.</summary>
    public const string IdempotencyConflict = "idempotency_conflict";
    /// <summary>A job makes jobs of its own, and the id of one of them is another job's.</summary>
    public const string ChildIdTaken = "child_id_taken";
    /// <summary>The deadline passed before the job ran.</summary>
    public const string DeadlineExceeded = "deadline_exceeded";
    /// <summary>An attempt took longer than it may.</summary>
    public const string AttemptTimeout = "attempt_timeout";
    /// <summary>What a model gives for a request is larger than one answer may be.</summary>
    public const string AnswerTooLarge = "answer_too_large";
    /// <summary>Memory ran out.</summary>
    public const string OutOfMemory = "out_of_memory";
    /// <summary>A job that had to succeed first has ended otherwise.</summary>
    public const string DependencyFailed = "dependency_failed";
    /// <summary>An input refers to a part of another job's output that is not there, or would become too large.</summary>
    public const string ReferenceInvalid = "reference_invalid";
    /// <summary>The tenant has as many jobs waiting as it may.</summary>
    public const string QuotaExceeded = "quota_exceeded";
    /// <summary>The tenant submits faster than it may.</summary>
    public const string RateLimited = "rate_limited";
    /// <summary>No dead letter has this id.</summary>
    public const string DeadLetterNotFound = "dead_letter_not_found";
    /// <summary>No schedule has this name.</summary>
    public const string ScheduleNotFound = "schedule_not_found";
    /// <summary>No group has this id.</summary>
    public const string GroupNotFound = "group_not_found";
    /// <summary>No webhook endpoint has this id.</summary>
    public const string EndpointNotFound = "webhook_endpoint_not_found";
    /// <summary>No webhook delivery has this id.</summary>
    public const string DeliveryNotFound = "webhook_delivery_not_found";
    /// <summary>The worker stopped renewing its lease on the last attempt.</summary>
    public const string LeaseExpired = "lease_expired";
    /// <summary>No model has this name, version or alias.</summary>
    public const string ModelNotFound = "model_not_found";
    /// <summary>The file is not an ONNX model.</summary>
    public const string NotAnOnnxModel = "not_an_onnx_model";
    /// <summary>The ONNX model needs an operator that this build does not have.</summary>
    public const string UnsupportedOperator = "unsupported_operator";
    /// <summary>The ONNX model refers to a file outside itself.</summary>
    public const string ExternalDataMissing = "external_data_missing";
    /// <summary>An input tensor's name is not in the model's signature, or a needed one is missing.</summary>
    public const string TensorNameMismatch = "tensor_name_mismatch";
    /// <summary>A tensor's shape does not fit the model's signature, or its data does not fit its shape.</summary>
    public const string TensorShapeMismatch = "tensor_shape_mismatch";
    /// <summary>A tensor's datatype is not the one in the model's signature, or its data cannot be read as it.</summary>
    public const string TensorDatatypeMismatch = "tensor_datatype_mismatch";
    /// <summary>The model has no image pipeline, so it takes tensors only.</summary>
    public const string ImageInputUnsupported = "image_input_unsupported";
    /// <summary>The model has no table pipeline, so it takes no rows.</summary>
    public const string RowInputUnsupported = "row_input_unsupported";
    /// <summary>A row does not fit the pipeline's columns: one is missing or unknown, or a value is of the wrong kind.</summary>
    public const string RowInvalid = "row_invalid";
    /// <summary>The model has no text pipeline, so it takes no texts.</summary>
    public const string TextInputUnsupported = "text_input_unsupported";
    /// <summary>A text is empty or too long.</summary>
    public const string TextInvalid = "text_invalid";
    /// <summary>The pipeline is at fault, or does not fit the model; <c>details.path</c> says where.</summary>
    public const string PipelineInvalid = "pipeline_invalid";
    /// <summary>The image cannot be decoded.</summary>
    public const string ImageUnreadable = "image_unreadable";
    /// <summary>The model's computation failed on this input.</summary>
    public const string ModelExecutionFailed = "model_execution_failed";
    /// <summary>The model's computation took longer than it may.</summary>
    public const string ModelRunTimeout = "model_run_timeout";

    /// <summary>The model's last computations were stopped, or ended their process; it is computed again after <c>retryAfterSeconds</c>. Transient.</summary>
    public const string ModelResting = "model_resting";
    /// <summary>The model's computation, or its loading, ended the process of its own that it ran in; or did so several times in a row, so that it is not computed for a while.</summary>
    public const string ModelProcessEnded = "model_process_ended";
    /// <summary>The batcher's queue is full.</summary>
    public const string QueueFull = "queue_full";
    /// <summary>No data set has this name or version.</summary>
    public const string DatasetNotFound = "dataset_not_found";
    /// <summary>The upload is not in a known data set format.</summary>
    public const string DatasetFormatUnknown = "dataset_format_unknown";
    /// <summary>The data set has no items.</summary>
    public const string DatasetEmpty = "dataset_empty";
    /// <summary>The data set has a single class, so there is nothing to learn.</summary>
    public const string DatasetOneClass = "dataset_one_class";
    /// <summary>More items than the stated share cannot be read.</summary>
    public const string DatasetCorrupt = "dataset_corrupt";
    /// <summary>A label lies outside the declared classes.</summary>
    public const string LabelOutOfRange = "label_out_of_range";
    /// <summary>The archive is damaged or of an unknown kind.</summary>
    public const string ArchiveInvalid = "archive_invalid";
    /// <summary>An entry's path leads outside the archive.</summary>
    public const string ArchivePathEscape = "archive_path_escape";
    /// <summary>The archive unpacks to more than the limits allow.</summary>
    public const string ArchiveTooLarge = "archive_too_large";
    /// <summary>Two items of a batch job have the same id.</summary>
    public const string DuplicateId = "duplicate_id";
    /// <summary>A batch job was not done within its completion window.</summary>
    public const string CompletionWindowPassed = "completion_window_passed";
    /// <summary>A NumPy file is damaged or of a kind that is not read.</summary>
    public const string ArrayInvalid = "array_invalid";
    /// <summary>A CSV or Parquet file cannot be read as a table, or lacks a column.</summary>
    public const string TableInvalid = "table_invalid";
    /// <summary>No upload has this id: it never began, is done, was ended, or was left alone for too long.</summary>
    public const string UploadNotFound = "upload_not_found";
    /// <summary>The part sent does not begin where the upload stands, or another part is being written.</summary>
    public const string UploadOffsetConflict = "upload_offset_conflict";
    /// <summary>The file has another checksum than was said.</summary>
    public const string ChecksumMismatch = "checksum_mismatch";
    /// <summary>The address or path may not be imported from.</summary>
    public const string ImportRefused = "import_refused";
    /// <summary>What the address or path leads to could not be fetched.</summary>
    public const string ImportFailed = "import_failed";
    /// <summary>No artifact has this hash.</summary>
    public const string ArtifactNotFound = "artifact_not_found";
    /// <summary>The training preset or specification is not known or does not fit the data.</summary>
    public const string SpecificationInvalid = "specification_invalid";
    /// <summary>The loss became NaN or infinite.</summary>
    public const string TrainingDiverged = "training_diverged";
    /// <summary>The state of a training could not be stored; the one stored before is untouched.</summary>
    public const string CheckpointFailed = "checkpoint_failed";
    /// <summary>No checkpoint of this job has this id, or it was removed.</summary>
    public const string CheckpointNotFound = "checkpoint_not_found";
    /// <summary>A named column is not in the table.</summary>
    public const string ColumnNotFound = "column_not_found";
    /// <summary>A value of a column is not of the column's kind.</summary>
    public const string ColumnInvalid = "column_invalid";
    /// <summary>Items that are validated on are among those trained on.</summary>
    public const string DatasetLeak = "dataset_leak";
    /// <summary>The exported model and the trained one differ by more than the tolerance.</summary>
    public const string ExportParityFailed = "export_parity_failed";
    /// <summary>The native training library cannot be loaded on this machine.</summary>
    public const string TrainingRuntimeUnavailable = "training_runtime_unavailable";
    /// <summary>More items of a batch job failed than its stated share.</summary>
    public const string BatchFailed = "batch_failed";
    /// <summary>The time budget is too small for one epoch.</summary>
    public const string BudgetTooSmall = "budget_too_small";
    /// <summary>No recipe has this name or version.</summary>
    public const string RecipeNotFound = "recipe_not_found";
    /// <summary>A sweep has more points or trials than the service allows.</summary>
    public const string SweepTooLarge = "sweep_too_large";
    /// <summary>A sweep's space is empty, upside down, or has a field that the training does not.</summary>
    public const string SearchInvalid = "search_invalid";
    /// <summary>More trials of a sweep failed than its stated share, none has a figure, or its best one could not be registered.</summary>
    public const string SweepFailed = "sweep_failed";
    /// <summary>What a sweep compares is no figure of its trainings.</summary>
    public const string MetricUnknown = "metric_unknown";
    /// <summary>A model gives no labels and no single number, so it cannot be evaluated.</summary>
    public const string EvaluationUnsupported = "evaluation_unsupported";
    /// <summary>A gate has no condition, or one that is unknown or can never hold.</summary>
    public const string GateInvalid = "gate_invalid";
    /// <summary>A rollout's shares, times or limits are outside their ranges, or it has no limit.</summary>
    public const string RolloutInvalid = "rollout_invalid";
    /// <summary>No rollout of this model has this id.</summary>
    public const string RolloutNotFound = "rollout_not_found";
    /// <summary>The model has a rollout that has not ended, or the one named has.</summary>
    public const string RolloutConflict = "rollout_conflict";
    /// <summary>`production` would move to a version whose requests an alias with a share of the traffic could not compute.</summary>
    public const string CanaryConflict = "canary_conflict";
    /// <summary>The version has no drift monitor.</summary>
    public const string MonitorNotFound = "drift_monitor_not_found";
    /// <summary>The model has no shadow.</summary>
    public const string ShadowNotFound = "shadow_not_found";
    /// <summary>A data set has a label that the model has never seen.</summary>
    public const string LabelUnknown = "label_unknown";
    /// <summary>A webhook target is not allowed.</summary>
    public const string WebhookTargetRefused = "webhook_target_refused";
    /// <summary>The service's storage has no room left; jobs wait until it has.</summary>
    public const string StorageFull = "storage_full";
    /// <summary>The storage of artifacts cannot be reached or refuses the service; jobs wait until it is back.</summary>
    public const string ArtifactStorageUnavailable = "artifact_storage_unavailable";
    /// <summary>A part that the request needs cannot be reached; try again.</summary>
    public const string Unavailable = "unavailable";
    /// <summary>Something went wrong on our side. The log has the cause under the job or trace id.</summary>
    public const string InternalError = "internal_error";
    /// <summary>The route needs a key, and none was sent.</summary>
    public const string KeyMissing = "key_missing";
    /// <summary>No key has this text, or it has expired or was revoked.</summary>
    public const string KeyInvalid = "key_invalid";
    /// <summary>The key lacks the scope that the route needs.</summary>
    public const string ScopeMissing = "scope_missing";
    /// <summary>The key belongs to another tenant than the one named.</summary>
    public const string TenantForbidden = "tenant_forbidden";
    /// <summary>No key has this id.</summary>
    public const string KeyNotFound = "key_not_found";
    /// <summary>The key is revoked, so it cannot be rotated.</summary>
    public const string KeyStateConflict = "key_state_conflict";
    /// <summary>The resource does not exist.</summary>
    public const string NotFound = "not_found";
    /// <summary>The route does not take this HTTP method.</summary>
    public const string MethodNotAllowed = "method_not_allowed";
    /// <summary>The route does not take this content type.</summary>
    public const string UnsupportedMediaType = "unsupported_media_type";
}
