namespace QueueMaaS.Contracts;

/// <summary>The HTTP status that goes with a problem's code.</summary>
public static class ProblemStatus
{
    /// <summary>From 400 to 503; 422 where the request was understood but cannot be done.</summary>
    public static int Of(string code) => code switch
    {
        ProblemCodes.JobNotFound or ProblemCodes.ModelNotFound or ProblemCodes.DatasetNotFound or ProblemCodes.ArtifactNotFound or ProblemCodes.UploadNotFound or ProblemCodes.CheckpointNotFound or ProblemCodes.RecipeNotFound or ProblemCodes.NotFound
            or ProblemCodes.KeyNotFound or ProblemCodes.DeadLetterNotFound or ProblemCodes.ScheduleNotFound or ProblemCodes.GroupNotFound or ProblemCodes.EndpointNotFound or ProblemCodes.DeliveryNotFound or ProblemCodes.RolloutNotFound or ProblemCodes.ShadowNotFound or ProblemCodes.MonitorNotFound => 404,
        ProblemCodes.JobStateConflict or ProblemCodes.KeyStateConflict or ProblemCodes.IdempotencyConflict or ProblemCodes.UploadOffsetConflict or ProblemCodes.RolloutConflict => 409,
        ProblemCodes.TooLarge or ProblemCodes.ArchiveTooLarge => 413,
        ProblemCodes.UnsupportedEncoding or ProblemCodes.UnsupportedMediaType => 415,
        ProblemCodes.InvalidRequest or ProblemCodes.UnknownField => 400,
        ProblemCodes.QueueFull or ProblemCodes.QuotaExceeded or ProblemCodes.RateLimited => 429,
        ProblemCodes.KeyMissing or ProblemCodes.KeyInvalid => 401,
        ProblemCodes.ScopeMissing or ProblemCodes.TenantForbidden => 403,
        ProblemCodes.Unavailable or ProblemCodes.ModelResting or ProblemCodes.StorageFull or ProblemCodes.ArtifactStorageUnavailable => 503,
        ProblemCodes.InternalError => 500,
        _ => 422,
    };
}
